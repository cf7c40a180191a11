//! To an address of somebody's own, as JSON, signed if they want.

use crate::units::hex;
use aws_lc_rs::hmac;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::courier::Receipt;
use super::fault::SendFault;
use super::http::{self, Post};
use super::secrets;
use crate::alert::Notice;
use crate::message::Message;
use crate::policy::file::Webhook;
use crate::world::clock;

/// Goes up when what a receiver relies on changes.
const FORMAT_VERSION: u32 = 1;

pub(super) fn send(webhook: &Webhook, notice: &Notice, message: &Message, path: &str) -> Result<Receipt, SendFault> {
    let url = secrets::read(&webhook.url, &format!("{path}.webhook.url"))?;
    let url = http::address(url.expose_secret(), &format!("{path}.webhook.url"))?;
    let body = body(notice, message)?;
    let mut headers = vec![("content-type", "application/json".to_owned()), ("x-seawall-id", super::mark(&notice.id))];
    if let Some(key) = &webhook.sign_with {
        let key = secrets::read(key, &format!("{path}.webhook.sign_with"))?;
        headers.push(("x-seawall-signature", signature(key.expose_secret().as_bytes(), clock::now().as_second(), &body)));
    }
    let answer = http::post(Post { url, headers, body })?;
    if answer.is_good() { Ok(Receipt::new(format!("answered {}", answer.status))) } else { Err(answer.fault("")) }
}

/// The notice, as `alert` wrote it, with the words for people beside it.
fn body(notice: &Notice, message: &Message) -> Result<Vec<u8>, SendFault> {
    let impossible = |error: serde_json::Error| SendFault::refused(format!("the notice cannot be written as JSON: {error}"), "");
    let mut body = json!({ "format_version": FORMAT_VERSION });
    if let (Value::Object(body), Value::Object(notice)) = (&mut body, serde_json::to_value(notice).map_err(impossible)?) {
        body.extend(notice);
        body.insert("text".into(), Value::from(message.text.as_str()));
    }
    serde_json::to_vec(&body).map_err(impossible)
}

/// `t` is there so that an old message cannot be played again: whoever checks refuses one that is not of this minute.
fn signature(key: &[u8], seconds: i64, body: &[u8]) -> String {
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    signing.update(format!("{seconds}.").as_bytes());
    signing.update(body);
    let hex = hex(signing.sign().as_ref());
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_others_compute() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac key
        let expected = "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";
        assert_eq!(signature(b"key", 1_700_000_000, b"{}"), expected);
    }
}
