//! Whose turn it is: at most so many policies at the same time, never two of one server, who has waited longest first.

use std::collections::BTreeSet;

use crate::units::Instant;

/// What a policy waits with.
pub(super) trait Waits {
    /// One at a time of each.
    fn server(&self) -> &str;
    /// What it is known by while it runs.
    fn file(&self) -> &str;
    fn since(&self) -> Instant;
}

/// Those that wait, and who is at work.
#[derive(Debug)]
pub(super) struct Queue<T> {
    at_once: usize,
    /// The one that has waited longest last.
    waiting: Vec<T>,
    servers: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl<T: Waits> Queue<T> {
    pub(super) fn new(at_once: usize) -> Queue<T> {
        Queue { at_once, waiting: Vec::new(), servers: BTreeSet::new(), files: BTreeSet::new() }
    }

    /// What was found by a new look takes the place of what waited. Who is at work is looked at again afterwards.
    pub(super) fn refill(&mut self, mut found: Vec<T>) {
        found.retain(|task| !self.files.contains(task.file()));
        found.sort_by(|one, other| (other.since(), other.file()).cmp(&(one.since(), one.file())));
        self.waiting = found;
    }

    /// The next one that may begin now.
    pub(super) fn next(&mut self) -> Option<T> {
        if self.files.len() >= self.at_once {
            return None;
        }
        let at = self.waiting.iter().rposition(|task| !self.servers.contains(task.server()))?;
        let task = self.waiting.remove(at);
        self.servers.insert(task.server().to_owned());
        self.files.insert(task.file().to_owned());
        Some(task)
    }

    pub(super) fn ended(&mut self, server: &str, file: &str) {
        self.servers.remove(server);
        self.files.remove(file);
    }

    /// Nobody is at work.
    pub(super) fn is_idle(&self) -> bool {
        self.files.is_empty()
    }

    /// Nobody waits any more.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Task(&'static str, &'static str, i64);

    impl Waits for Task {
        fn server(&self) -> &str {
            self.1
        }

        fn file(&self) -> &str {
            self.0
        }

        fn since(&self) -> Instant {
            Instant::from_second(self.2).expect("a moment")
        }
    }

    #[test]
    fn who_waited_longest_begins_and_no_server_is_asked_twice() {
        let mut queue = Queue::new(2);
        queue.refill(vec![Task("a", "one", 30), Task("b", "one", 10), Task("c", "two", 40), Task("d", "three", 20)]);
        assert_eq!(queue.next(), Some(Task("b", "one", 10)));
        assert_eq!(queue.next(), Some(Task("d", "three", 20)));
        assert_eq!(queue.next(), None, "two are at work");
        queue.ended("three", "d");
        // `a` waits for its server, and `c` does not wait for `a`.
        assert_eq!(queue.next(), Some(Task("c", "two", 40)));
        queue.ended("one", "b");
        assert_eq!(queue.next(), Some(Task("a", "one", 30)));
        queue.ended("two", "c");
        assert_eq!(queue.next(), None);
        assert!(!queue.is_idle());
    }

    #[test]
    fn a_new_look_does_not_begin_what_is_at_work() {
        let mut queue = Queue::new(4);
        queue.refill(vec![Task("a", "one", 1), Task("b", "two", 2)]);
        assert_eq!(queue.next(), Some(Task("a", "one", 1)));
        queue.refill(vec![Task("a", "one", 1), Task("c", "one", 3)]);
        assert_eq!(queue.next(), None, "its server is busy");
        queue.ended("one", "a");
        assert_eq!(queue.next(), Some(Task("c", "one", 3)));
        queue.ended("one", "c");
        assert!(queue.is_idle() && queue.next().is_none());
    }
}
