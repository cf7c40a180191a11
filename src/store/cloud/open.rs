//! From a store's settings to a client of the service, with credentials by the service's usual chain.

use std::env;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider, Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::HttpConnector;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::{BackoffConfig, Certificate, ClientOptions, HeaderValue, RetryConfig, StaticCredentialProvider};

use super::Client;
use super::credentials::Watched;
use super::profile::{FromProfile, Profile};
use super::wire::{Dial, Dialect};
use crate::store::{Fault, FaultKind, Sse};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(60);

fn config(message: impl Into<String>, hint: &str) -> Fault {
    Fault::new(FaultKind::Config, message, hint)
}

/// Whether an endpoint of somebody's own may be spoken to, and in clear text only if its address says so.
fn allows_http(endpoint: Option<&str>) -> Result<bool, Fault> {
    match endpoint {
        None => Ok(false),
        Some(url) if url.starts_with("https://") => Ok(false),
        Some(url) if url.starts_with("http://") => Ok(true),
        Some(url) => Err(config(format!("an endpoint begins with `https://` or `http://`: `{url}`"), "Write the whole address.")),
    }
}

fn options(http: bool, ca: Option<&Path>) -> Result<ClientOptions, Fault> {
    // How long an answer may take is decided per request, by its size.
    let mut options = ClientOptions::new()
        .with_allow_http(http)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout_disabled()
        .with_pool_idle_timeout(IDLE)
        .with_http1_only()
        .with_user_agent(HeaderValue::from_static(concat!("seawall/", env!("CARGO_PKG_VERSION"))));
    if let Some(path) = ca {
        let unread =
            |why: String| config(format!("the certificates in {} cannot be read: {why}", path.display()), "It should be a PEM file.");
        let pem = std::fs::read(path).map_err(|error| unread(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| unread("it is no PEM file".to_owned()))?;
        if certificates.is_empty() {
            return Err(unread("there is none in it".to_owned()));
        }
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}

/// Trying again is ours: every attempt is signed anew, and we must know that there was one.
fn once() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: Duration::from_secs(60) }
}

fn unbuilt(error: object_store::Error) -> Fault {
    // The library's words; none of them holds a secret at this point (tested).
    config(format!("the store cannot be opened: {error}"), "Check the store's settings and the credentials' variables.")
}

#[derive(Debug)]
pub(super) struct S3<'s> {
    pub(super) bucket: &'s str,
    pub(super) region: Option<&'s str>,
    pub(super) endpoint: Option<&'s str>,
    pub(super) path_style: bool,
    pub(super) ca: Option<&'s Path>,
    pub(super) profile: Option<&'s str>,
    pub(super) sse: Option<&'s Sse>,
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

pub(super) fn s3(settings: &S3<'_>) -> Result<Client, Fault> {
    let profile = s3_profile(settings.profile)?;
    let of_profile = |setting: &str| profile.as_ref().and_then(|profile| profile.get(setting)).map(str::to_owned);
    let region = settings.region.map(str::to_owned).or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = region.or_else(|| of_profile("region")).unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint =
        settings.endpoint.map(str::to_owned).or_else(|| variable("AWS_ENDPOINT_URL_S3")).or_else(|| variable("AWS_ENDPOINT_URL"));
    let endpoint = endpoint.or_else(|| of_profile("endpoint_url"));
    let bundle = variable("AWS_CA_BUNDLE").or_else(|| of_profile("ca_bundle"));
    let ca = settings.ca.or(bundle.as_deref().map(Path::new));

    let options = options(allows_http(endpoint.as_deref())?, ca)?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(settings.bucket)
        .with_region(region)
        .with_retry(once())
        .with_client_options(options.clone())
        .with_checksum_algorithm(Checksum::SHA256)
        .with_http_connector(Dial::new(Dialect::S3))
        .with_virtual_hosted_style_request(!settings.path_style);
    if let Some(endpoint) = &endpoint {
        let place = if settings.path_style { endpoint.clone() } else { with_bucket(endpoint, settings.bucket) };
        builder = builder.with_endpoint(place);
    }
    match settings.sse {
        Some(Sse::S3) => {
            let key: AmazonS3ConfigKey = "aws_server_side_encryption".parse().map_err(unbuilt)?;
            builder = builder.with_config(key, "AES256");
        }
        Some(Sse::Kms(key)) => builder = builder.with_sse_kms_encryption(key),
        None => {}
    }
    let credentials = s3_credentials(&builder, profile.as_ref(), settings.profile.is_some())?;
    let client = builder.with_credentials(credentials).build().map_err(unbuilt)?;
    let http = Dial::new(Dialect::S3).connect(&options).map_err(unbuilt)?;
    Ok(Client::S3 { client, http, bucket: settings.bucket.to_owned(), custom: endpoint.is_some() })
}

/// `https://host` becomes `https://bucket.host`.
fn with_bucket(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{bucket}.{}", host.trim_end_matches('/')),
        None => endpoint.to_owned(),
    }
}

/// One that is asked for by name must be there; the default one may be missing.
fn s3_profile(named: Option<&str>) -> Result<Option<Profile>, Fault> {
    let asked = named.map(str::to_owned).or_else(|| variable("AWS_PROFILE"));
    match (asked, Profile::read("default")) {
        (Some(name), _) => match Profile::read(&name) {
            Some(profile) => Ok(Some(profile)),
            None => Err(config(
                format!("there is no profile `{name}` in AWS's shared files"),
                "Look into `~/.aws/credentials` and `~/.aws/config` of the user this runs as.",
            )),
        },
        (None, default) => Ok(default),
    }
}

/// A profile the policy names, environment, web identity, shared files, container, machine: the first that is there.
fn s3_credentials(builder: &AmazonS3Builder, profile: Option<&Profile>, named: bool) -> Result<AwsCredentialProvider, Fault> {
    let keys = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    let identity = variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() && variable("AWS_ROLE_ARN").is_some();
    let from_profile = profile.filter(|profile| profile.has_credentials() && (named || (keys.is_none() && !identity)));
    match (from_profile, keys) {
        (Some(profile), _) => Ok(Arc::new(Watched::new(Arc::new(FromProfile::new(profile)), false))),
        (None, Some((key_id, secret_key))) => {
            let credential = AwsCredential { key_id, secret_key, token: variable("AWS_SESSION_TOKEN") };
            Ok(Arc::new(StaticCredentialProvider::new(credential)))
        }
        (None, None) => s3_identity(builder, identity),
    }
}

fn s3_identity(builder: &AmazonS3Builder, web: bool) -> Result<AwsCredentialProvider, Fault> {
    let names: &[&str] = if web {
        &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_ENDPOINT_URL_STS"]
    } else {
        &[
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "AWS_METADATA_ENDPOINT",
        ]
    };
    let mut chain = builder.clone();
    for name in names {
        if let (Some(value), Ok(key)) = (variable(name), name.to_ascii_lowercase().parse()) {
            chain = chain.with_config(key, value);
        }
    }
    let container = variable(names[0]).is_some() || variable(names[1]).is_some();
    let from = chain.build().map_err(unbuilt)?.credentials().clone();
    Ok(Arc::new(Watched::new(from, !web && !container)))
}

#[derive(Debug)]
pub(super) struct Azure<'s> {
    pub(super) account: &'s str,
    pub(super) container: &'s str,
    pub(super) endpoint: Option<&'s str>,
    pub(super) tier: Option<&'s str>,
}

pub(super) fn azure(settings: &Azure<'_>) -> Result<Client, Fault> {
    let tier = settings.tier.map(HeaderValue::from_str).transpose();
    let tier = tier.map_err(|_| config("a tier is a word", "Write it as Azure does: `Cool`."))?;
    let dial = Dial::azure(settings.account, tier);
    let options = options(allows_http(settings.endpoint)?, None)?;
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_account(settings.account)
        .with_container_name(settings.container)
        .with_retry(once())
        .with_client_options(options.clone())
        .with_http_connector(dial.clone())
        // What the environment must not decide.
        .with_use_emulator(false)
        .with_skip_signature(false);
    if let Some(endpoint) = settings.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    let given = ["KEY", "ACCESS_KEY"]
        .iter()
        .any(|end| variable(&format!("AZURE_STORAGE_{end}")).is_some() || variable(&format!("AZURE_STORAGE_ACCOUNT_{end}")).is_some())
        || variable("AZURE_CLIENT_ID").is_some()
        || variable("AZURE_STORAGE_SAS_TOKEN").is_some()
        || variable("AZURE_STORAGE_SAS_KEY").is_some();
    let mut client = builder.clone().build().map_err(unbuilt)?;
    if !given {
        client = builder.with_credentials(Arc::new(Watched::new(client.credentials().clone(), true))).build().map_err(unbuilt)?;
    }
    dial.signs(client.credentials().clone());
    let own = || format!("https://{}.blob.core.windows.net", settings.account);
    let place = settings.endpoint.map_or_else(own, |endpoint| endpoint.trim_end_matches('/').to_owned());
    Ok(Client::Azure {
        http: Dial::new(Dialect::Azure).connect(&options).map_err(unbuilt)?,
        account: settings.account.to_owned(),
        container: format!("{place}/{}", settings.container),
        client,
        custom: settings.endpoint.is_some(),
    })
}

pub(super) fn gcs(bucket: &str, endpoint: Option<&str>) -> Result<Client, Fault> {
    let options = options(allows_http(endpoint)?, None)?;
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_retry(once())
        .with_client_options(options.clone())
        .with_http_connector(Dial::new(Dialect::Gcs));
    let names = ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"];
    let mut given = false;
    for name in names {
        if let (Some(value), Ok(key)) = (variable(name), name.to_ascii_lowercase().parse()) {
            builder = builder.with_config(key, value);
            given = true;
        }
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    let client = match endpoint {
        // An emulator: nobody is asked who he is. A private way to Google's own is encrypted, and there the machine says who it is.
        Some(place) if !given && place.starts_with("http://") => {
            builder.with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: "none".to_owned() })))
        }
        _ => {
            let from = builder.clone().build().map_err(unbuilt)?.credentials().clone();
            builder.with_credentials(Arc::new(Watched::new(from, !given)))
        }
    };
    let client = client.build().map_err(unbuilt)?;
    let place = endpoint.unwrap_or("https://storage.googleapis.com").trim_end_matches('/');
    Ok(Client::Gcs {
        http: Dial::new(Dialect::Gcs).connect(&options).map_err(unbuilt)?,
        bucket: format!("{place}/storage/v1/b/{bucket}"),
        client,
        custom: endpoint.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_endpoint_that_says_so_is_spoken_to_in_clear_text() {
        assert_eq!(allows_http(None), Ok(false));
        assert_eq!(allows_http(Some("https://minio.example")), Ok(false));
        assert_eq!(allows_http(Some("http://127.0.0.1:9000")), Ok(true));
        assert!(allows_http(Some("minio.example")).is_err());
    }

    #[test]
    fn the_bucket_goes_before_the_host() {
        assert_eq!(with_bucket("https://s3.example:9000/", "b"), "https://b.s3.example:9000");
    }
}
