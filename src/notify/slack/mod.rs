//! To a channel of Slack: through an incoming webhook, or as a bot, which can change what it wrote and answer in its thread.

mod blocks;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::courier::{Before, Receipt};
use super::fault::{SendFault, tame};
use super::http::{self, Answer, Post};
use super::secrets;
use crate::alert::{Notice, NoticeKind};
use crate::message::Message;
use crate::policy::file::Slack;

/// Where a bot's calls go, unless the policy says otherwise.
const API: &str = "https://slack.com/api";

pub(super) fn send(slack: &Slack, notice: &Notice, message: &Message, before: &Before, path: &str) -> Result<Receipt, SendFault> {
    match (&slack.webhook, &slack.token, &slack.channel) {
        (Some(webhook), ..) => {
            let path = format!("{path}.slack.webhook");
            let url = secrets::read(webhook, &path)?;
            let url = http::protected_address(url.expose_secret(), &path)?;
            let body = blocks::message(notice, message);
            let answer = http::post(Post { url, headers: json_headers(None), body: written(&body)? })?;
            let word = word(&answer.body);
            if answer.is_good() { Ok(Receipt::new(word)) } else { Err(answer.fault(word)) }
        }
        (None, Some(token), Some(channel)) => {
            let api = slack.api.as_deref().unwrap_or(API).trim_end_matches('/').to_owned();
            let token = secrets::read(token, &format!("{path}.slack.token"))?;
            Bot { api, token, path }.deliver(channel, notice, message, before)
        }
        _ => Err(SendFault::setup(format!("{path}.slack: neither a webhook nor a token and a channel"), "Name one of the two.")),
    }
}

/// Slack answers in one word. Anything else is somebody's page, which may repeat the address, and that is the secret.
fn word(body: &str) -> &str {
    let word = body.trim();
    if word.len() < 60 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') { word } else { "" }
}

struct Bot<'p> {
    api: String,
    token: SecretString,
    path: &'p str,
}

/// A message that stands in a channel.
#[derive(Debug, Serialize, Deserialize)]
struct Posted {
    channel: String,
    ts: String,
    /// It tells of several things: the end of one of them is not the end of the message.
    #[serde(default)]
    digest: bool,
}

/// Slack's words for: that message can no longer be changed.
const UNCHANGEABLE: [&str; 5] =
    ["message_not_found", "cant_update_message", "edit_window_closed", "update_failed", "external_channel_migrating"];
/// Passes by itself.
const PASSING: [&str; 8] = [
    "ratelimited",
    "rate_limited",
    "message_limit_exceeded",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
];
/// This very message is the trouble.
const REFUSED: [&str; 8] = [
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
    "too_many_attachments",
    "markdown_text_conflict",
    "invalid_arguments",
];

impl Bot<'_> {
    fn deliver(&self, channel: &str, notice: &Notice, message: &Message, before: &Before) -> Result<Receipt, SendFault> {
        let body = blocks::message(notice, message);
        let known = before.reference.as_deref().and_then(|text| serde_json::from_str::<Posted>(text).ok());
        let known = known.filter(|_| notice.kind != NoticeKind::Firing);
        let Some(known) = known else { return self.post(channel, None, body, notice) };
        if notice.kind == NoticeKind::Resolved && !known.digest && notice.items.len() == 1 {
            let change = with(body.clone(), &[("channel", &known.channel), ("ts", &known.ts)]);
            return match self.call("chat.update", &change) {
                Ok(answer) => Ok(self.receipt(&answer, Some(known), notice, "changed")),
                Err(Said { code, .. }) if UNCHANGEABLE.contains(&code.as_str()) => self.post(channel, None, body, notice),
                Err(said) => Err(said.fault),
            };
        }
        self.post(&known.channel.clone(), Some(known), body, notice)
    }

    /// A new message, or an answer to one.
    fn post(&self, channel: &str, thread: Option<Posted>, body: Value, notice: &Notice) -> Result<Receipt, SendFault> {
        let mut body = with(body, &[("channel", channel)]);
        if let Some(thread) = &thread {
            body = with(body, &[("thread_ts", &thread.ts)]);
        }
        let answer = self.call("chat.postMessage", &body).map_err(|said| said.fault)?;
        Ok(self.receipt(&answer, thread, notice, "posted"))
    }

    fn receipt(&self, answer: &Value, thread: Option<Posted>, notice: &Notice, what: &str) -> Receipt {
        let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
        let new = || Some(Posted { channel: text("channel")?, ts: text("ts")?, digest: notice.items.len() > 1 });
        let posted = thread.or_else(new);
        let reference = posted.and_then(|posted| serde_json::to_string(&posted).ok());
        Receipt { reference, ..Receipt::new(what) }
    }

    fn call(&self, method: &str, body: &Value) -> Result<Value, Said> {
        let api = format!("{}/{method}", self.api);
        let call = || {
            let url = http::protected_address(&api, &format!("{}.slack.api", self.path))?;
            http::post(Post { url, headers: json_headers(Some(&self.token)), body: written(body)? })
        };
        let answer = call().map_err(|fault| Said { code: String::new(), fault })?;
        understood(&answer)
    }
}

/// What a call came to when it came to nothing.
struct Said {
    /// As Slack spells it; empty when it gave none.
    code: String,
    fault: SendFault,
}

/// Slack says 200 to everything, and in the body whether it did it.
fn understood(answer: &Answer) -> Result<Value, Said> {
    let body: Option<Value> = serde_json::from_str(&answer.body).ok();
    match body {
        Some(body) if answer.is_good() && body.get("ok") == Some(&Value::Bool(true)) => Ok(body),
        Some(body) if answer.is_good() && body.get("ok") == Some(&Value::Bool(false)) => {
            let code = tame(body.get("error").and_then(Value::as_str).unwrap_or("no reason given"));
            let message = format!("Slack refused: {code}");
            let mut fault = match code.as_str() {
                known if PASSING.contains(&known) => SendFault::passing(message),
                known if REFUSED.contains(&known) => SendFault::refused(message, ""),
                known => SendFault::setup(message, hint(known)),
            };
            fault.retry_after = answer.retry_after;
            Err(Said { code, fault })
        }
        _ if answer.is_good() => {
            let fault = SendFault::passing("the answer made no sense; whether it arrived is not known");
            Err(Said { code: String::new(), fault })
        }
        _ => Err(Said { code: String::new(), fault: answer.fault("") }),
    }
}

fn hint(code: &str) -> &'static str {
    match code {
        "not_in_channel" | "channel_not_found" | "is_archived" => "Invite the bot into the channel, or give the channel's id.",
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => "The token is not valid any more.",
        "missing_scope" | "not_allowed_token_type" => "The bot needs the scope `chat:write`.",
        _ => "Look up the word in Slack's documentation of `chat.postMessage`.",
    }
}

fn json_headers(token: Option<&SecretString>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    headers.extend(token.map(|token| ("authorization", format!("Bearer {}", token.expose_secret().trim()))));
    headers
}

fn with(mut body: Value, more: &[(&str, &str)]) -> Value {
    for (key, value) in more {
        body[*key] = json!(value);
    }
    body
}

fn written(body: &Value) -> Result<Vec<u8>, SendFault> {
    serde_json::to_vec(body).map_err(|error| SendFault::refused(format!("the message cannot be written as JSON: {error}"), ""))
}

#[cfg(test)]
mod tests {
    use super::super::fault::FaultKind;
    use super::*;

    #[test]
    fn slacks_words_say_whether_to_try_again() {
        let kind = |status, body: &str| {
            let answer = Answer { status, body: body.to_owned(), retry_after: None };
            understood(&answer).map(|_| ()).map_err(|said| said.fault.kind)
        };
        assert_eq!(kind(200, r#"{"ok":true,"ts":"1.2"}"#), Ok(()));
        for (code, expected) in [
            ("ratelimited", FaultKind::Passing),
            ("internal_error", FaultKind::Passing),
            ("invalid_auth", FaultKind::Setup),
            ("not_in_channel", FaultKind::Setup),
            ("a_new_word", FaultKind::Setup),
            ("invalid_blocks", FaultKind::Refused),
        ] {
            assert_eq!(kind(200, &format!(r#"{{"ok":false,"error":"{code}"}}"#)), Err(expected), "{code}");
        }
        for body in ["", "ok", "{}", r#"{"ok":"true"}"#, "<html>"] {
            assert_eq!(kind(200, body), Err(FaultKind::Passing), "{body}");
        }
        assert_eq!(kind(429, r#"{"ok":false,"error":"ratelimited"}"#), Err(FaultKind::Passing));
        assert_eq!(kind(503, ""), Err(FaultKind::Passing));
    }
}
