//! The contract, kept by real servers; and what happens when the line to them is bad.

use super::child::Errand;
use crate::servers::{azure, gcs, moto, proxy, s3};

fn s3_errand(what: &str, server: &s3::S3) -> Errand {
    Errand::new(what)
        .with("STORE_KIND", "s3")
        .with("STORE_BUCKET", "bucket")
        .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", server.http))
        .with("AWS_SHARED_CREDENTIALS_FILE", server.credentials_file().display())
        .with("STORE_PROFILE", "seawall")
}

#[test]
fn s3() {
    let server = s3::S3::start();
    let tls = format!("https://127.0.0.1:{}", server.https);
    let over_tls = |what: &str| s3_errand(what, &server).with("STORE_ENDPOINT", &tls);
    let plain = |what: &str| s3_errand(what, &server);
    over_tls("contract").with("STORE_CA", server.ca().display()).with("STORE_PREFIX", "tls/below").run();
    plain("contract").with("STORE_SSE", "s3").with("STORE_CLASS", "STANDARD_IA").run();
    // Whether one may write to a bucket that is not there is a question that SeaweedFS does not answer.
    plain("no-store-to-read").with("STORE_BUCKET", "nobucket").run();
    plain("denied").with("STORE_PROFILE", "wrong").run();
    plain("read-only").with("STORE_PROFILE", "reader").run();
    plain("growing").run();
    plain("colder").with("STORE_PREFIX", "whole").with("STORE_TO", "GLACIER").run();
    plain("colder").with("STORE_PREFIX", "pieces+=@").with("STORE_TO", "STANDARD_IA").with("SEAWALL_TEST_COPY_LIMIT", 5 << 20).run();
    over_tls("config").with("STORE_CA", server.wrong_ca().display()).run();
    over_tls("config").run();
    let by_environment = Errand::new("denied")
        .with("STORE_KIND", "s3")
        .with("STORE_BUCKET", "bucket")
        .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", server.http));
    by_environment.run();
    by_environment.with("AWS_ACCESS_KEY_ID", s3::KEY).with("AWS_SECRET_ACCESS_KEY", "not-the-secret").run();
    let [nobody] = crate::clusters::free_ports();
    plain("transient").with("STORE_ENDPOINT", format!("http://127.0.0.1:{nobody}")).with("STORE_PATIENCE", 0).run();
}

/// What a bucket keeps behind what one sees, judged by Amazon's own library.
#[test]
fn s3_with_versions_and_locks() {
    let server = s3::S3::start();
    server.administer("s3.create_bucket(Bucket='kept', ObjectLockEnabledForBucket=True)");
    let errand = |what: &str| s3_errand(what, &server).with("STORE_BUCKET", "kept").with("STORE_PREFIX", "deep/below");
    let left = || {
        server.administer(
            "all = s3.list_object_versions(Bucket='kept', Prefix='deep')\n\
             print([v['Key'] for v in all.get('Versions', [])] + [m['Key'] + ' hidden' for m in all.get('DeleteMarkers', [])])",
        )
    };
    s3_errand("contract", &server).with("STORE_BUCKET", "kept").with("STORE_PREFIX", "contract").run();
    errand("versions").run();
    assert_eq!(left(), "['deep/below/kept/02-beside']");
    server.administer(
        "s3.delete_object(Bucket='kept', Key='deep/below/kept/02-beside', VersionId=s3.list_object_versions(Bucket='kept', Prefix='deep')['Versions'][0]['VersionId'])\n\
         for name in ['retained', 'held', 'free']:\n    s3.put_object(Bucket='kept', Key='deep/below/locked/' + name, Body=b'x')\n\
         until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=24)\n\
         s3.put_object_retention(Bucket='kept', Key='deep/below/locked/retained', Retention={'Mode': 'COMPLIANCE', 'RetainUntilDate': until})\n\
         s3.put_object_legal_hold(Bucket='kept', Key='deep/below/locked/held', LegalHold={'Status': 'ON'})",
    );
    errand("locked").run();
    // What a move leaves behind is nothing, in one piece and in several.
    s3_errand("colder", &server).with("STORE_BUCKET", "kept").with("STORE_PREFIX", "moved").with("STORE_TO", "STANDARD_IA").run();
    let pieces = s3_errand("colder", &server).with("STORE_BUCKET", "kept").with("STORE_PREFIX", "moved/pieces").with("STORE_TO", "GLACIER");
    pieces.with("SEAWALL_TEST_COPY_LIMIT", 5 << 20).run();
    assert_eq!(server.administer("print(len(s3.list_object_versions(Bucket='kept', Prefix='moved')['Versions']))"), "4");
    let hidden = "'deep/below/locked/held hidden', 'deep/below/locked/retained hidden'";
    assert_eq!(left(), format!("['deep/below/locked/held', 'deep/below/locked/retained', {hidden}]"));
}

#[test]
fn azure() {
    let server = azure::Azure::start();
    let errand = |what: &str| {
        Errand::new(what)
            .with("STORE_KIND", "azure")
            .with("STORE_ACCOUNT", azure::ACCOUNT)
            .with("STORE_BUCKET", "container")
            .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}/{}", server.port, azure::ACCOUNT))
            .with("AZURE_STORAGE_ACCOUNT_KEY", azure::KEY)
    };
    errand("contract").with("STORE_PREFIX", "below").with("STORE_CLASS", "Cool").run();
    errand("growing").run();
    errand("colder").with("STORE_PREFIX", "moved").with("STORE_TO", "cold").run();
    errand("colder").with("STORE_PREFIX", "moved/far").with("STORE_TO", "archive").run();
    errand("no-store").with("STORE_BUCKET", "nocontainer").run();
    errand("denied").with("AZURE_STORAGE_ACCOUNT_KEY", "bm90LXRoZS1zZWNyZXQ=").run();
}

#[test]
fn gcs() {
    let server = gcs::Gcs::start();
    let errand = |what: &str| {
        Errand::new(what)
            .with("STORE_KIND", "gcs")
            .with("STORE_BUCKET", "bucket")
            .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", server.port))
    };
    errand("contract").with("STORE_PREFIX", "below").with("STORE_CLASS", "STANDARD").run();
    errand("growing").run();
    errand("colder").with("STORE_PREFIX", "moved").with("STORE_TO", "ARCHIVE").run();
    errand("no-store-to-read").with("STORE_BUCKET", "nobucket").run();
    // Its own credentials lie in a file that this one is not.
    let file = server.s3.credentials_file();
    errand("unopened").with("GOOGLE_APPLICATION_CREDENTIALS", file.display()).run();
}

/// Rewritten, and nobody was told; and rewritten without an end.
#[test]
fn a_move_within_google_that_nobody_hears_of() {
    let server = gcs::Gcs::start();
    let far = proxy::Proxy::to(server.port);
    let errand = |what: &str| {
        Errand::new(what)
            .with("STORE_KIND", "gcs")
            .with("STORE_BUCKET", "bucket")
            .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", far.port))
            .with("STORE_TO", "ARCHIVE")
    };
    far.lose_answer_to("rewriteToken=");
    errand("moved-unheard").with("STORE_PREFIX", "unheard").run();
    assert_eq!(far.cuts_made(), 1);
    server.never_finish();
    errand("moved-endlessly").with("STORE_PREFIX", "endless").with("STORE_PATIENCE", 1).run();
}

/// Every answer that can be lost, and every connection that can be cut, without anybody noticing but the clock.
#[test]
fn a_bad_line() {
    let server = s3::S3::start();
    let far = proxy::Proxy::to(server.http);
    let errand = |what: &str| s3_errand(what, &server).with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", far.port));
    errand("write").run();
    far.cut(3 << 20, 6);
    errand("read").run();
    assert_eq!(far.cuts_made(), 6);
    far.cut(0, 0);
    far.lose_answers(2);
    errand("put-new-again").run();
    assert_eq!(far.cuts_made(), 8);
    for answers in [1, 2, 3, 5] {
        far.lose_answers(answers);
        errand("upload-again").with("STORE_PREFIX", format!("lost-{answers}")).run();
    }
    far.hang(100);
    errand("transient-soon").with("STORE_PATIENCE", 2).run();
}

#[test]
fn what_lies_in_an_archive_is_asked_for_first() {
    let server = moto::Moto::start();
    let errand = Errand::new("frozen")
        .with("STORE_KIND", "s3")
        .with("STORE_BUCKET", "bucket")
        .with("STORE_PREFIX", "deep")
        .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", server.port))
        .with("STORE_CLASS", "GLACIER")
        .with("AWS_ACCESS_KEY_ID", "any")
        .with("AWS_SECRET_ACCESS_KEY", "any");
    errand.run();
}

#[test]
fn an_archive_is_a_class_to_move_to() {
    let server = moto::Moto::start();
    let errand = |prefix: &str| {
        Errand::new("colder")
            .with("STORE_KIND", "s3")
            .with("STORE_BUCKET", "bucket")
            .with("STORE_PREFIX", prefix)
            .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", server.port))
            .with("AWS_ACCESS_KEY_ID", "any")
            .with("AWS_SECRET_ACCESS_KEY", "any")
    };
    errand("deep").with("STORE_TO", "DEEP_ARCHIVE").run();
    errand("pieces").with("STORE_TO", "GLACIER").with("SEAWALL_TEST_COPY_LIMIT", 5 << 20).run();
}

/// Whatever way an object comes there, and when it is moved: judged by Amazon's own library.
#[test]
fn each_object_has_the_class_and_the_key_of_the_policy() {
    let server = moto::Moto::start();
    let errand = |what: &str, prefix: &str| {
        Errand::new(what)
            .with("STORE_KIND", "s3")
            .with("STORE_BUCKET", "bucket")
            .with("STORE_PREFIX", prefix)
            .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", server.port))
            .with("STORE_SSE", "arn:aws:kms:eu-central-1:111122223333:key/of-the-policy")
            .with("AWS_ACCESS_KEY_ID", "any")
            .with("AWS_SECRET_ACCESS_KEY", "any")
    };
    errand("put-each-way", "put").with("STORE_CLASS", "STANDARD_IA").run();
    errand("put-each-way", "cold").with("STORE_CLASS", "GLACIER").run();
    errand("colder", "moved").with("STORE_TO", "STANDARD_IA").run();
    errand("colder", "moved/pieces").with("STORE_TO", "GLACIER_IR").with("SEAWALL_TEST_COPY_LIMIT", 5 << 20).run();
    let told = s3::boto3(
        server.port,
        "any",
        "for item in s3.list_objects_v2(Bucket='bucket')['Contents']:\n\
         \x20   head = s3.head_object(Bucket='bucket', Key=item['Key'])\n\
         \x20   key = head.get('SSEKMSKeyId', 'none').rsplit('/')[-1]\n\
         \x20   print(item['Key'], head.get('StorageClass', 'STANDARD'), head.get('ServerSideEncryption'), key)",
    );
    let expected: Vec<String> = [
        // What everything else is found by is never asleep.
        ("cold/new", "STANDARD"),
        ("cold/one-piece", "GLACIER"),
        ("cold/pieces", "GLACIER"),
        ("cold/replaced", "STANDARD"),
        ("moved/cold/large", "STANDARD_IA"),
        ("moved/cold/small", "STANDARD_IA"),
        ("moved/pieces/cold/large", "GLACIER_IR"),
        ("moved/pieces/cold/small", "GLACIER_IR"),
        ("put/new", "STANDARD_IA"),
        ("put/one-piece", "STANDARD_IA"),
        ("put/pieces", "STANDARD_IA"),
        ("put/replaced", "STANDARD_IA"),
    ]
    .map(|(name, class)| format!("{name} {class} aws:kms of-the-policy"))
    .to_vec();
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

/// What a killed process left is taken away by the next one that uploads to the same folder; what somebody is at is not, nor what is not ours.
#[test]
fn uploads_that_were_broken_off_go() {
    let server = moto::Moto::start();
    let errand = || {
        Errand::new("uploads")
            .with("STORE_KIND", "s3")
            .with("STORE_BUCKET", "bucket")
            .with("STORE_PREFIX", "deep")
            .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", server.port))
            .with("AWS_ACCESS_KEY_ID", "any")
            .with("AWS_SECRET_ACCESS_KEY", "any")
    };
    s3::boto3(
        server.port,
        "any",
        "for key in ['deep/ours/data/killed', 'deep/ours/wal/killed', 'deep/others/killed', 'ours/data/killed', 'deep/ours-too/killed']:\n\
         \x20   id = s3.create_multipart_upload(Bucket='bucket', Key=key)['UploadId']\n\
         \x20   s3.upload_part(Bucket='bucket', Key=key, UploadId=id, PartNumber=1, Body=b'x')",
    );
    let left = || {
        let lines = "print(*sorted(u['Key'] for u in s3.list_multipart_uploads(Bucket='bucket').get('Uploads', [])))";
        s3::boto3(server.port, "any", lines)
    };
    let all = left();
    assert_eq!(all.split(' ').count(), 5, "{all}");
    // This server says of every upload that it was begun long ago. Their pieces came a moment ago.
    errand().run();
    assert_eq!(left(), all);
    let began = std::time::Instant::now();
    while left() != "deep/others/killed deep/ours-too/killed ours/data/killed" {
        assert!(began.elapsed() < std::time::Duration::from_secs(120), "{}", left());
        // Its own pieces are younger.
        errand().with("SEAWALL_TEST_ABANDONED", 15).run();
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

#[test]
fn a_store_that_ignores_conditions_is_found_out() {
    let server = moto::Moto::start();
    let weak = proxy::Proxy::to(server.port);
    weak.forget_conditions();
    let errand = |port: u16, what: &str| {
        Errand::new(what)
            .with("STORE_KIND", "s3")
            .with("STORE_BUCKET", "bucket")
            .with("STORE_ENDPOINT", format!("http://127.0.0.1:{port}"))
            .with("AWS_ACCESS_KEY_ID", "any")
            .with("AWS_SECRET_ACCESS_KEY", "any")
    };
    errand(server.port, "strong").run();
    errand(weak.port, "weak").run();
}
