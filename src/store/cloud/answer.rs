//! What a server answered when it refused, in its own words.

use thiserror::Error;

/// A refusal. It travels inside the client library's error and is found there again by [`super::failure::Failure`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{status} {code} {message}")]
pub(super) struct Answer {
    pub(super) status: u16,
    /// As the service spells it: `NoSuchBucket`; empty when it gave none.
    pub(super) code: String,
    pub(super) message: String,
}

const LONGEST_MESSAGE: usize = 300;

impl Answer {
    /// `header` is what the service says of the error outside the body (Azure does, and has only that for HEAD).
    pub(super) fn new(status: u16, header: Option<&str>, body: &[u8]) -> Answer {
        let body = String::from_utf8_lossy(body);
        let code = header.map(str::to_owned).or_else(|| element(&body, "Code")).unwrap_or_default();
        let message = element(&body, "Message").or_else(|| element(&body, "Details")).unwrap_or_default();
        Answer { status, code: plain(&code, 60), message: plain(&message, LONGEST_MESSAGE) }
    }

    /// Some answers are an error although their status says success: S3 sends the status before the work is done.
    pub(super) fn within_success(body: &[u8]) -> Option<Answer> {
        let text = std::str::from_utf8(body).ok()?;
        let error = &text[text.find("<Error>")?..];
        let mut answer = Answer::new(0, None, error.as_bytes());
        answer.status = match answer.code.as_str() {
            "PreconditionFailed" => 412,
            "AccessDenied" => 403,
            "NoSuchBucket" | "NoSuchUpload" | "NoSuchKey" => 404,
            "NotImplemented" => 501,
            "InternalError" | "SlowDown" | "ServiceUnavailable" | "RequestTimeout" => 503,
            _ => 400,
        };
        Some(answer)
    }
}

/// The text of the first element of that name. Good enough for error documents, which are flat.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let length = xml[start..].find(&format!("</{name}>"))?;
    Some(xml[start..start + length].trim().to_owned())
}

/// One line without control characters: it came from outside and goes to a terminal.
fn plain(text: &str, limit: usize) -> String {
    let one_line = text.lines().next().unwrap_or_default();
    one_line.chars().filter(|c| !c.is_control()).take(limit).collect::<String>().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_dialect() {
        let s3 = b"<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>The bucket is not there.</Message></Error>";
        let said = Answer::new(404, None, s3);
        assert_eq!((said.code.as_str(), said.message.as_str()), ("NoSuchBucket", "The bucket is not there"));
        assert_eq!(Answer::new(409, Some("BlobAlreadyExists"), b"").code, "BlobAlreadyExists");
        assert_eq!(Answer::new(503, None, b"<html>").to_string().trim(), "503");
        let told = Answer::new(400, None, b"<Error><Message>evil \x1b[2J\r\nSecond line</Message></Error>");
        assert_eq!(told.message, "evil [2J");
    }

    #[test]
    fn an_error_within_a_success_is_an_error() {
        let slow = b"<Error><Code>SlowDown</Code><Message>later</Message></Error>";
        assert_eq!(Answer::within_success(slow).map(|answer| answer.status), Some(503));
        assert_eq!(Answer::within_success(b"<CompleteMultipartUploadResult/>"), None);
    }
}
