//! From the client library's errors to what a DBA can act on.

use std::io;
use std::time::Duration;

use object_store::client::HttpError;

use super::answer::Answer;
use super::credentials::NoCredentials;
use crate::store::FaultKind;

/// Why one request failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) kind: FaultKind,
    /// Something has that name already.
    pub(super) exists: bool,
    /// An earlier attempt at the same thing failed without our knowing whether it had its effect.
    pub(super) unclear: bool,
    /// There was an answer, and it could not be understood.
    pub(super) senseless: bool,
    /// As the service spells it; empty when it gave none.
    pub(super) code: String,
    pub(super) said: String,
    pub(super) hint: &'static str,
}

impl Failure {
    pub(super) fn new(kind: FaultKind, said: impl Into<String>, hint: &'static str) -> Failure {
        Failure { kind, exists: false, unclear: false, senseless: false, code: String::new(), said: said.into(), hint }
    }

    pub(super) fn slow(limit: Duration) -> Failure {
        Failure::new(FaultKind::Transient, format!("no answer within {} s", limit.as_secs()), "Is the store, or the way to it, overloaded?")
    }

    pub(super) fn cut_short() -> Failure {
        Failure::new(FaultKind::Transient, "the answer was cut short", "")
    }

    pub(super) fn of(error: &object_store::Error) -> Failure {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut connection: Option<&HttpError> = None;
        while let Some(this) = cause {
            if let Some(answer) = this.downcast_ref::<Answer>() {
                return Failure::answered(answer);
            }
            if let Some(missing) = this.downcast_ref::<NoCredentials>() {
                return Failure::new(FaultKind::Denied, missing.to_string(), missing.hint());
            }
            if let Some(certificate) = certificate_refused(this) {
                return Failure::new(FaultKind::Config, certificate, CERTIFICATE_HINT);
            }
            connection = connection.or_else(|| this.downcast_ref::<HttpError>());
            cause = this.source();
        }
        match error {
            object_store::Error::NotFound { .. } => Failure::new(FaultKind::Absent, "it is not there", ""),
            object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. } => {
                Failure::new(FaultKind::Config, "this store cannot do that", "")
            }
            object_store::Error::InvalidPath { .. } => Failure::new(FaultKind::Config, "the name is not possible there", ""),
            // What is left is an answer that made no sense: cut short, or not from the store.
            _ => match connection {
                Some(connection) => Failure::new(FaultKind::Transient, unreachable(connection), ""),
                None => Failure { senseless: true, ..Failure::new(FaultKind::Transient, "the answer made no sense", "") },
            },
        }
    }

    fn answered(answer: &Answer) -> Failure {
        let (kind, hint) = kind_of(answer);
        let said = [answer.status.to_string(), answer.code.clone(), answer.message.clone()];
        let said = said.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let exists = answer.status == 412 || (answer.status == 409 && answer.code.ends_with("AlreadyExists"));
        Failure { kind, exists, unclear: false, senseless: false, code: answer.code.clone(), said, hint }
    }

    pub(super) fn is_transient(&self) -> bool {
        self.kind == FaultKind::Transient
    }
}

const CERTIFICATE_HINT: &str = "Name the file of the authority that signed it (`ca` of the store), or mend the certificate.";
const CLOCK_HINT: &str = "Set this machine's clock right.";
const KEY_HINT: &str = "Check which credentials are used: environment, profile, or the identity of this machine.";
const REGION_HINT: &str = "Write the bucket's own region into the store.";

fn kind_of(answer: &Answer) -> (FaultKind, &'static str) {
    let locked =
        |text: &str| ["object lock", "retention", "worm", "legal hold"].iter().any(|word| text.to_ascii_lowercase().contains(word));
    match (answer.status, answer.code.as_str()) {
        (_, "NoSuchBucket" | "ContainerNotFound" | "BucketNotFound" | "ContainerBeingDeleted") => {
            (FaultKind::NoStore, "Seawall makes no buckets: make it, or mend its name.")
        }
        (_, "InvalidObjectState" | "BlobArchived" | "BlobBeingRehydrated") => (FaultKind::Frozen, "Have it thawed first."),
        (_, "BlobImmutableDueToPolicy" | "ObjectLocked" | "RetentionPolicyNotMet" | "LeaseIdMissing") => (FaultKind::Locked, ""),
        (_, "QuotaExceeded" | "StorageFull" | "XMinioStorageFull" | "InsufficientStorage") | (507, _) => {
            (FaultKind::Full, "Make room or raise the quota.")
        }
        (_, "RequestTimeTooSkewed") => (FaultKind::Denied, CLOCK_HINT),
        (_, "ExpiredToken" | "TokenRefreshRequired") => (FaultKind::Denied, "The credentials have run out."),
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "AuthenticationFailed") | (401, _) => {
            (FaultKind::Denied, KEY_HINT)
        }
        (_, "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException") => {
            (FaultKind::Config, REGION_HINT)
        }
        // Damaged on the way, so worth another try.
        (
            400,
            "RequestTimeout" | "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" | "Md5Mismatch",
        ) => (FaultKind::Transient, ""),
        (409, "ConditionalRequestConflict" | "OperationAborted") => (FaultKind::Transient, ""),
        (403, _) if locked(&answer.message) => (FaultKind::Locked, ""),
        (403, _) => (FaultKind::Denied, ""),
        (404, _) => (FaultKind::Absent, ""),
        (416, _) => (FaultKind::Damaged, "The object is cut short; `seawall verify` says what else is."),
        (501, _) => (FaultKind::Config, "This server cannot do what Seawall needs."),
        (301..=308, _) => (FaultKind::Config, REGION_HINT),
        (408 | 425 | 429 | 500..=599, _) => (FaultKind::Transient, ""),
        _ => (FaultKind::Other, ""),
    }
}

/// In short words; the library's own repeat themselves at every level.
fn unreachable(error: &HttpError) -> String {
    use object_store::client::HttpErrorKind as Kind;
    let deepest = {
        let mut deepest: &dyn std::error::Error = error;
        while let Some(next) = deepest.source() {
            deepest = next;
        }
        deepest.to_string()
    };
    match error.kind() {
        Kind::Connect => format!("no connection: {deepest}"),
        Kind::Timeout => format!("timed out: {deepest}"),
        _ => format!("the connection failed: {deepest}"),
    }
}

fn certificate_refused(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    // An error wrapped into one of input and output is not among its sources.
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return certificate_refused(inner);
    }
    match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(format!("the server's certificate is not accepted: {why}")),
        rustls::Error::NoCertificatesPresented => Some("the server shows no certificate".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let kind = |status, code: &str, message: &str| kind_of(&Answer { status, code: code.to_owned(), message: message.to_owned() }).0;
        assert_eq!(kind(404, "NoSuchBucket", ""), FaultKind::NoStore);
        assert_eq!(kind(404, "NoSuchKey", ""), FaultKind::Absent);
        assert_eq!(kind(403, "AccessDenied", "Access Denied"), FaultKind::Denied);
        assert_eq!(kind(403, "AccessDenied", "Access Denied because object protected by object lock"), FaultKind::Locked);
        assert_eq!(kind(403, "InvalidObjectState", ""), FaultKind::Frozen);
        assert_eq!(kind(403, "RequestTimeTooSkewed", ""), FaultKind::Denied);
        assert_eq!(kind(503, "SlowDown", ""), FaultKind::Transient);
        assert_eq!(kind(429, "", ""), FaultKind::Transient);
        assert_eq!(kind(400, "BadDigest", ""), FaultKind::Transient);
        assert_eq!(kind(400, "InvalidRequest", ""), FaultKind::Other);
        assert_eq!(kind(501, "NotImplemented", ""), FaultKind::Config);
        assert_eq!(kind(301, "PermanentRedirect", ""), FaultKind::Config);
    }
}
