//! moto: an S3 server that refuses to read what lies in an archive until it was asked for. It knows no signatures, so nothing
//! else is tested with it.

use super::{Server, free_ports, must_exist, python_bin, request};

#[derive(Debug)]
pub(crate) struct Moto {
    pub(crate) server: Server,
    pub(crate) port: u16,
}

impl Moto {
    pub(crate) fn start() -> Moto {
        let program = must_exist(python_bin().join("moto_server"), "tests/requirements.txt has it (moto)");
        let [port] = free_ports();
        let arguments = ["-H".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()];
        let mut moto = Moto { server: Server::start(&program, &arguments, &[], tempfile::tempdir().expect("a directory")), port };
        moto.server.wait_until("moto", || request(port, "PUT /bucket HTTP/1.1\r\nHost: 127.0.0.1", "").is_some_and(|status| status < 300));
        moto
    }

    /// What is requested from an archive comes so much later; without it, while one asks how far it is.
    pub(crate) fn thaw_within(&self, time: std::time::Duration) {
        let seconds = time.as_secs();
        let body = format!(r#"{{"model_name":"s3::keyrestore","transition":{{"progression":"time","seconds":{seconds}}}}}"#);
        let head = "POST /moto-api/state-manager/set-transition HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json";
        assert!(request(self.port, head, &body).is_some_and(|status| status < 300), "moto is told how long it takes");
    }
}
