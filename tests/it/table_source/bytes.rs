//! What is fetched is a small part, counted by who carries it.

use super::ended::Child;
use super::rig::hash;
use crate::clusters::{Options, Version};
use crate::faults::clouds;
use crate::restore::rig::Rig;
use crate::servers::proxy::Proxy;
use crate::servers::s3::{self, S3};

#[test]
fn a_small_part_is_fetched() {
    let server = S3::start();
    let proxy = Proxy::to(server.http);
    let options = Options { segment_mb: 1, ..Options::default() };
    let rig = Rig::start_with(Version::V15, options, |folder| clouds::s3_place(proxy.port, "bucket", folder));
    clouds::credentials(&rig, s3::SECRET);
    rig.cluster.sql(
        "create table wanted as select n, md5(n::text) as t from generate_series(1, 10000) n; create index on wanted (t); \
         create table other as select n, md5(n::text) || md5(random()::text) as t from generate_series(1, 1000000) n",
    );
    rig.backup();
    rig.cluster.sql("update wanted set t = 'x' where n % 10 = 0");
    let before = rig.cluster.sql(&hash("wanted"));
    rig.archive();
    let carried = proxy.carried();
    let said = Child::begin(&rig, Version::V15, "public.wanted", false).end();
    let carried = proxy.carried() - carried;
    assert_eq!(said.hash, before);
    println!("{said:?}, carried {carried}");
    // Lists, headers and the log come on top.
    assert!(carried > said.fetched && carried < said.fetch_of / 4, "{carried}: {said:?}");
    assert!(said.fetched <= said.fetch && said.fetched * 10 > said.fetch * 9, "{said:?}");
}
