//! The three services behind the client library's faces.

use object_store::ObjectStore;
use object_store::client::HttpClient;
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;

/// `http` is for what the library cannot ask.
pub(super) enum Client {
    S3 {
        client: object_store::aws::AmazonS3,
        http: HttpClient,
        bucket: String,
        custom: bool,
    },
    /// `container` is its address.
    Azure {
        client: object_store::azure::MicrosoftAzure,
        http: HttpClient,
        account: String,
        container: String,
        custom: bool,
    },
    /// `bucket` is its address in the service's other language, JSON.
    Gcs {
        client: object_store::gcp::GoogleCloudStorage,
        http: HttpClient,
        bucket: String,
        custom: bool,
    },
}

impl Client {
    pub(super) fn objects(&self) -> &dyn ObjectStore {
        match self {
            Client::S3 { client, .. } => client,
            Client::Azure { client, .. } => client,
            Client::Gcs { client, .. } => client,
        }
    }

    pub(super) fn parts(&self) -> &dyn MultipartStore {
        match self {
            Client::S3 { client, .. } => client,
            Client::Azure { client, .. } => client,
            Client::Gcs { client, .. } => client,
        }
    }

    pub(super) fn pages(&self) -> &dyn PaginatedListStore {
        match self {
            Client::S3 { client, .. } => client,
            Client::Azure { client, .. } => client,
            Client::Gcs { client, .. } => client,
        }
    }

    /// An endpoint of somebody's own: it may be less exact than the service it imitates.
    pub(super) fn is_custom(&self) -> bool {
        match self {
            Client::S3 { custom, .. } | Client::Azure { custom, .. } | Client::Gcs { custom, .. } => *custom,
        }
    }

    pub(super) fn is_gcs(&self) -> bool {
        matches!(self, Client::Gcs { .. })
    }
}
