//! `seawall serve`, until the test ends.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

pub struct Live {
    pub child: Child,
    pub address: SocketAddr,
}

impl Live {
    /// Of these policies, named as `seawall` takes them there.
    pub fn start(mut command: Command, policies: &str) -> Live {
        command.args(["serve", policies, "--state", "state", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split("http://").nth(1).and_then(|rest| rest.trim().parse().ok()))
            .expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        Live { child, address }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
