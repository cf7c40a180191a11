//! What can go wrong with a directory.
