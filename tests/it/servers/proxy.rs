//! A bad line to a server: a proxy that cuts connections, or hangs, as it is told.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[derive(Debug, Default)]
struct Orders {
    /// To whom new connections lead.
    server: AtomicU16,
    /// Cut every connection after so many bytes of answers, this many times.
    cut_after: AtomicI64,
    cuts_left: AtomicI64,
    /// Swallow the answers of so many connections and say nothing.
    silent_left: AtomicI64,
    /// Deliver the request, then cut before its answer: so many times.
    deaf_left: AtomicI64,
    /// Do that to the next request with this word in it.
    deaf_to: Mutex<Option<&'static str>>,
    cuts_made: AtomicU64,
    /// Bytes of answers.
    carried: AtomicU64,
    /// Make `If-None-Match` a header that nobody knows.
    forget_conditions: AtomicBool,
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
        let orders = Arc::new(Orders { server: AtomicU16::new(server), ..Orders::default() });
        let told = orders.clone();
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let told = told.clone();
                let server = told.server.load(Ordering::SeqCst);
                thread::spawn(move || carry(client, server, &told));
            }
        });
        Proxy { port, orders }
    }

    /// Leads to another server from now on.
    pub(crate) fn lead_to(&self, server: u16) {
        self.orders.server.store(server, Ordering::SeqCst);
    }

    pub(crate) fn cut(&self, after: i64, times: i64) {
        self.orders.cut_after.store(after, Ordering::SeqCst);
        self.orders.cuts_left.store(times, Ordering::SeqCst);
    }

    pub(crate) fn lose_answers(&self, times: i64) {
        self.orders.deaf_left.store(times, Ordering::SeqCst);
    }

    /// Only the answer to the next request with this word in it.
    pub(crate) fn lose_answer_to(&self, word: &'static str) {
        *self.orders.deaf_to.lock().expect("nobody panics with it") = Some(word);
    }

    pub(crate) fn hang(&self, times: i64) {
        self.orders.silent_left.store(times, Ordering::SeqCst);
    }

    pub(crate) fn forget_conditions(&self) {
        self.orders.forget_conditions.store(true, Ordering::SeqCst);
    }

    /// Bytes of answers that went through it.
    pub(crate) fn carried(&self) -> u64 {
        self.orders.carried.load(Ordering::SeqCst)
    }

    pub(crate) fn cuts_made(&self) -> u64 {
        self.orders.cuts_made.load(Ordering::SeqCst)
    }
}

fn take(left: &AtomicI64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left > 0).then(|| left - 1)).is_ok()
}

fn requests(mut client: TcpStream, mut upstream: TcpStream, forget: bool, orders: &Orders) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let is_meant = |word: &mut &str| buffer[..count].windows(word.len()).any(|window| window == word.as_bytes());
        if orders.deaf_to.lock().expect("nobody panics with it").take_if(is_meant).is_some() {
            orders.deaf_left.store(1, Ordering::SeqCst);
        }
        let known = b"if-none-match";
        if forget && let Some(at) = buffer[..count].windows(known.len()).position(|window| window.eq_ignore_ascii_case(known)) {
            buffer[at] = b'x';
        }
        if upstream.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = upstream.shutdown(Shutdown::Write);
}

fn carry(client: TcpStream, server: u16, orders: &Arc<Orders>) {
    let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let (Ok(from_client), Ok(to_server)) = (client.try_clone(), upstream.try_clone()) else { return };
    let forget = orders.forget_conditions.load(Ordering::SeqCst);
    let told = orders.clone();
    thread::spawn(move || requests(from_client, to_server, forget, &told));
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
        orders.carried.fetch_add(count as u64, Ordering::SeqCst);
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
