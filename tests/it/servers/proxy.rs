//! A bad line to a server: a proxy that cuts connections, or hangs, as it is told.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

#[derive(Debug, Default)]
struct Orders {
    /// Cut every connection after so many bytes of answers, this many times.
    cut_after: AtomicI64,
    cuts_left: AtomicI64,
    /// Swallow the answers of so many connections and say nothing.
    silent_left: AtomicI64,
    /// Deliver the request, then cut before its answer: so many times.
    deaf_left: AtomicI64,
    cuts_made: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    orders: Arc<Orders>,
}

impl Proxy {
    pub(crate) fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let orders = Arc::new(Orders::default());
        let told = orders.clone();
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let told = told.clone();
                thread::spawn(move || carry(client, server, &told));
            }
        });
        Proxy { port, orders }
    }

    pub(crate) fn cut(&self, after: i64, times: i64) {
        self.orders.cut_after.store(after, Ordering::SeqCst);
        self.orders.cuts_left.store(times, Ordering::SeqCst);
    }

    pub(crate) fn lose_answers(&self, times: i64) {
        self.orders.deaf_left.store(times, Ordering::SeqCst);
    }

    pub(crate) fn hang(&self, times: i64) {
        self.orders.silent_left.store(times, Ordering::SeqCst);
    }

    pub(crate) fn cuts_made(&self) -> u64 {
        self.orders.cuts_made.load(Ordering::SeqCst)
    }
}

fn take(left: &AtomicI64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left > 0).then(|| left - 1)).is_ok()
}

fn carry(client: TcpStream, server: u16, orders: &Orders) {
    let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), upstream.try_clone()) else { return };
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    answers(client, upstream, orders);
}

/// Carries answers back until told otherwise. A connection is used for many requests, so the orders are read at each chunk.
fn answers(mut client: TcpStream, mut upstream: TcpStream, orders: &Orders) {
    let mut buffer = [0; 16 << 10];
    let mut carried: i64 = 0;
    loop {
        let count = match upstream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        if take(&orders.silent_left) {
            thread::sleep(Duration::from_secs(600));
        }
        if take(&orders.deaf_left) {
            orders.cuts_made.fetch_add(1, Ordering::SeqCst);
            break;
        }
        carried += count as i64;
        let limit = orders.cut_after.load(Ordering::SeqCst);
        if limit > 0 && carried > limit && take(&orders.cuts_left) {
            orders.cuts_made.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = upstream.shutdown(Shutdown::Both);
}
