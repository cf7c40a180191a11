//! The policy language: YAML → a tree with places → the file's types → a policy that cannot be wrong.

mod check;
mod decode;
mod definition;
pub mod document;
pub mod exclude;
pub mod file;
pub mod finding;
pub mod model;
pub mod path;
pub mod pattern;
pub mod resolve;
pub mod schema;
pub mod shape;
pub mod source;
pub mod sql_name;
pub mod turn;
pub mod yaml;
mod yaml_fault;
