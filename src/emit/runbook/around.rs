//! What is the same whatever has happened: whom to call, what never to do, what to write down, and the way without Seawall.

use super::Setting;
use super::command::{Word, seawall};
use super::page::{Block, Step};
use super::today::Today;
use crate::plan::words::{joined, plain, quoted};
use crate::policy::file::{HostRole, Secret, Severity};
use crate::policy::model::{Encryption, Policy, StoreKind};
use crate::units::Name;

pub(super) fn people(policy: &Policy) -> Vec<Block> {
    let file = &policy.file;
    let mut blocks = vec![Block::Heading(2, "Whom to call".into())];
    if !file.escalation.is_empty() {
        blocks.push(Block::Words("In this order. Go on to the next when nobody answers, and in any case when the time has come:".into()));
        let rows = file.escalation.iter().map(|level| {
            let after = level.after.filter(|after| !after.is_zero()).map_or_else(|| "at once".to_owned(), |after| format!("after {after}"));
            let mut row = vec![after];
            row.extend(contact(policy, &level.contact));
            row.push(level.r#for.as_ref().map(plain).unwrap_or_default());
            row
        });
        blocks.push(Block::Table(vec!["when", "who", "role", "telephone", "mail", "hours", "for"], rows.collect()));
    }
    let others: Vec<&Name> = file.contacts.keys().filter(|name| !file.escalation.iter().any(|level| level.contact == **name)).collect();
    if !others.is_empty() {
        let what = if file.escalation.is_empty() { "The policy names no order. These answer:" } else { "Also:" };
        blocks.push(Block::Words(what.into()));
        let rows = others.into_iter().map(|name| contact(policy, name));
        blocks.push(Block::Table(vec!["who", "role", "telephone", "mail", "hours"], rows.collect()));
    }
    if file.contacts.is_empty() {
        let owner = file.owner.as_ref().map(|owner| format!(" Its owner is {}.", quoted(owner))).unwrap_or_default();
        blocks.push(Block::Warning(format!("the policy names nobody who answers.{owner} Write `contacts` and `escalation` into it.")));
    }
    blocks.extend(told(policy));
    blocks
}

/// The same in a line, for a page that lies alone.
pub(super) fn call(policy: &Policy) -> Option<String> {
    let who = |name: &Name| match policy.file.contacts.get(name) {
        Some(contact) => {
            let phone = contact.phone.as_ref().or(contact.email.as_ref()).map(|place| format!(" ({})", quoted(place))).unwrap_or_default();
            format!("{}{phone}", plain(&contact.name))
        }
        None => format!("receiver {name}"),
    };
    let levels = policy.file.escalation.iter().map(|level| match level.after.filter(|after| !after.is_zero()) {
        Some(after) => format!("after {after} {}", who(&level.contact)),
        None => who(&level.contact),
    });
    let levels: Vec<String> = levels.collect();
    let called = if levels.is_empty() { policy.file.contacts.keys().map(who).collect() } else { levels };
    (!called.is_empty()).then(|| format!("Call: {}", called.join(", ")))
}

/// What is needed before all else.
pub(super) fn tiers(policy: &Policy) -> Vec<Block> {
    if policy.objectives.data.is_empty() {
        return Vec::new();
    }
    let mut tiers: Vec<_> = policy.objectives.data.iter().collect();
    tiers.sort_by_key(|(name, tier)| (tier.rto, *name));
    let rows = tiers.into_iter().map(|(name, tier)| {
        let tables = match &tier.tables {
            Some(tables) => tables.iter().map(quoted).collect::<Vec<_>>().join(", "),
            None if tier.rest == Some(true) => "all others".to_owned(),
            None => "everything".to_owned(),
        };
        vec![name.to_string(), tables, tier.rto.to_string()]
    });
    vec![
        Block::Heading(2, "What is needed first".into()),
        Block::Table(vec!["tier", "tables", "usable within"], rows.collect()),
        Block::Words(
            "`restore --tier` brings them back in this order, and each is usable as soon as it is there: out of a dump, or of a physical backup as of \
             any moment. `restore --target` brings the whole cluster back at once: check these tables in this order, and let in whoever needs only \
             the first ones as soon as they are good."
                .into(),
        ),
    ]
}

fn contact(policy: &Policy, name: &Name) -> Vec<String> {
    let code = |text: &Option<String>| text.as_ref().map(quoted).unwrap_or_default();
    let words = |text: &Option<String>| text.as_ref().map(plain).unwrap_or_default();
    match policy.file.contacts.get(name) {
        Some(who) => vec![plain(&who.name), words(&who.role), code(&who.phone), code(&who.email), words(&who.hours)],
        None => vec![format!("receiver {name}"), String::new(), String::new(), String::new(), String::new()],
    }
}

/// Who hears of it by themselves.
fn told(policy: &Policy) -> Option<Block> {
    let routes = policy.file.alerts.iter().flat_map(|alerts| &alerts.routes);
    let critical = routes.filter(|route| route.event.is_none() && route.severity.is_none_or(|severity| severity == Severity::Critical));
    let lines = critical.map(|route| {
        let mut line = format!("Critical alerts go to {}", joined(route.to.iter()));
        for level in &route.escalate {
            line.push_str(&format!(", after {} to {}", level.after, joined(level.to.iter())));
        }
        line
    });
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then_some(Block::List(lines))
}

pub(super) fn before_anything(policy: &Policy, setting: &Setting) -> Vec<Block> {
    let mut steps = vec![
        Step::new("Write down the time, and who leads. One person types, another reads along."),
        Step::new("Type everything as the account that the server runs as, usually `postgres`, on the host that a step names."),
        Step::new("Change nothing yet. Do not delete, overwrite, reindex or restart what is damaged: a copy of it may be all there is."),
        Step::with(
            "See what Seawall knows.",
            [&["status"][..], &["wal", "status"], &["list"]]
                .iter()
                .filter(|words| policy.wal.is_some() || words[0] != "wal")
                .map(|words| seawall(setting, &words.iter().map(|word| Word::Is(word)).collect::<Vec<_>>()))
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        Step::with(
            "See who takes care of which alert. `seawall ack` with the key that `status` shows says that you do.",
            seawall(setting, &[Word::Is("ack"), Word::Is("--list")]),
        ),
    ];
    let staging: Vec<&Name> = policy.hosts.iter().filter(|(_, host)| host.role == HostRole::Staging).map(|(name, _)| name).collect();
    let on = if staging.is_empty() { String::new() } else { format!(" Here that is {}.", joined(staging)) };
    steps.push(match identity(policy) {
        Some(place) => Step::new(format!("Restore on a host that has the recovery identity, {place}.{on}")),
        None if matches!(policy.encryption, Some(Encryption::None { .. })) => {
            Step::new(format!("Backups are not encrypted: any host that can read the store can restore.{on}"))
        }
        None => {
            Step::new(format!("Bring the recovery identity to the host that restores, and add `--identity FILE` to every `restore`.{on}"))
        }
    });
    let mut blocks = vec![Block::Heading(2, "Before anything else".into()), Block::Steps(steps)];
    blocks.push(Block::Warning(
        "every restore below goes into a directory of its own. What is restored stays in quarantine (it archives nothing and runs no background \
         jobs) until `seawall release`."
            .into(),
    ));
    blocks
}

/// Where the recovery identity is, never what it is.
fn identity(policy: &Policy) -> Option<String> {
    let encryption = policy.encryption.as_ref()?;
    let (identity, passphrase) = (encryption.identity()?, encryption.passphrase());
    let passphrase = passphrase.map(|secret| format!(", its passphrase in {}", place(secret))).unwrap_or_default();
    Some(format!("in {}{passphrase}", place(identity)))
}

fn place(secret: &Secret) -> String {
    match (&secret.env, &secret.credential, &secret.file) {
        (Some(name), ..) => format!("the environment variable {}", quoted(name)),
        (None, Some(name), _) => format!("the systemd credential {}", quoted(name)),
        (None, None, file) => format!("the file {}", quoted(file.as_deref().unwrap_or_default())),
    }
}

/// Rows that left their tables on purpose are in no backup of today.
pub(super) fn archived_rows(policy: &Policy, setting: &Setting) -> Vec<Block> {
    if policy.archives.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Heading(2, "Rows that were archived".into()),
        Block::Words(
            "Older rows of these tables have moved to a store. A restored cluster has them only if its backup is older than their move."
                .into(),
        ),
    ];
    for archive in &policy.archives {
        let table = quoted(format!("{}.{}", archive.database, archive.table));
        blocks.push(Block::Heading(3, format!("{table}, older than {}, in the store {}", archive.after, archive.store)));
        let which = [Word::Is("--database"), Word::Is(&archive.database), Word::Is("--table"), Word::Is(&archive.table)];
        let list = seawall(setting, &[&[Word::Is("archive"), Word::Is("list")][..], &which].concat());
        let range = [Word::Is("--from"), Word::Of("from"), Word::Is("--to"), Word::Of("to")];
        let restore = seawall(setting, &[&[Word::Is("archive"), Word::Is("restore")][..], &which, &range].concat());
        blocks.push(Block::Code(format!(
            "{list}\nfrom='YYYY-MM-DD'   # the first moment that is wanted\nto='YYYY-MM-DD'     # the first that is not wanted any more\n{restore}"
        )));
        blocks.push(Block::Words("The rows come into a table of their own beside it (`…_archived`), never over what is there.".into()));
    }
    blocks
}

pub(super) fn afterwards(policy: &Policy, setting: &Setting) -> Vec<Block> {
    let audit = seawall(setting, &[Word::Is("audit"), Word::Is("show"), Word::Is("--limit"), Word::Is("200")]);
    let history = seawall(setting, &[Word::Is("history")]);
    let mut steps = vec![
        Step::new(
            "When it began, when somebody noticed, when somebody decided, when it worked again. What was promised, and what it took.",
        ),
        Step::new("The moment that was recovered to, the backup, and what was written after that moment and is lost. Who was told of it."),
        Step::with(
            "What Seawall did, from its own record; `restore` leaves its figures in `restore-report.json` below its state directory.",
            format!("{audit}\n{history}"),
        ),
        Step::new("Every step where this runbook was wrong, missing or slow. Change the policy, and make the runbook anew."),
        Step::new(
            "Keep the damaged data directory until somebody has looked for the cause, then delete it, and every copy that was restored beside.",
        ),
    ];
    let full = policy.backups.iter().find(|(_, backup)| backup.method.is_physical() && backup.method.runs_in_this_version());
    if let Some((name, _)) = full {
        let path = format!("backups.{name}");
        let run = seawall(setting, &[Word::Is("run"), Word::Is(&path)]);
        steps.push(match policy.wal {
            Some(_) => Step::with(
                "Take a new full backup as soon as the server works, and see that its log is archived.",
                format!("{run}\n{}", seawall(setting, &[Word::Is("wal"), Word::Is("status")])),
            ),
            None => {
                Step::with("Take a new full backup as soon as the server works: nothing else protects what is written from now on.", run)
            }
        });
    }
    vec![Block::Heading(2, "Afterwards".into()), Block::Words("Write down, while you still know:".into()), Block::Steps(steps)]
}

/// What docs/restore-without-seawall.md asks for, filled in.
pub(super) fn without_seawall(policy: &Policy, today: &Today<'_>) -> Vec<Block> {
    let mut blocks = vec![
        Block::Heading(2, "Without Seawall".into()),
        Block::Words(format!(
            "Everything in a store can be read with `{}`, `zstd`, `tar` and PostgreSQL's own programs. The commands are in \
             `docs/restore-without-seawall.md` of Seawall: print that page and keep it with this one. These are the values for its first step:",
            opener(policy)
        )),
    ];
    let folder = today.repository().map_or_else(|| format!("{}-…", policy.name), plain);
    for (name, store) in &policy.stores {
        let copy = match &store.kind {
            StoreKind::Local(local) => format!("{}/{folder}", local.path.trim_end_matches('/')),
            // It keeps the prefix.
            StoreKind::Azure(azure) => format!("/mnt/copy/{}{folder}", below(azure.prefix.as_deref())),
            StoreKind::S3(_) | StoreKind::Gcs(_) => format!("/mnt/copy/{folder}"),
        };
        let fetch = fetch(&store.kind, &folder).map(|fetch| format!("{fetch}\n")).unwrap_or_default();
        let mut lines = format!("# store {name}\n{fetch}repository={}\n", crate::emit::quote::for_shell(&copy));
        let identity = policy.encryption.as_ref().and_then(Encryption::identity).and_then(|identity| identity.file.as_ref());
        if let Some(file) = identity {
            lines.push_str(&format!("identity={}\n", crate::emit::quote::for_shell(file)));
        }
        if matches!(policy.encryption, Some(Encryption::OpenPgp(_))) {
            lines.push_str("ending=zst.gpg\n");
        }
        blocks.push(Block::Code(lines));
    }
    let writers = policy.file.encryption.as_ref().map(|encryption| &encryption.writers);
    if let Some(writers) = writers.filter(|writers| !writers.is_empty()) {
        let lines: Vec<String> =
            writers.iter().map(|(host, key)| format!("writer={}   # {host}", crate::emit::quote::for_shell(&plain(key)))).collect();
        blocks.push(Block::Words("Backups are signed by one of these:".into()));
        blocks.push(Block::Code(lines.join("\n")));
    }
    blocks
}

/// The program that opens what lies there.
fn opener(policy: &Policy) -> &'static str {
    if matches!(policy.encryption, Some(Encryption::OpenPgp(_))) { "gpg" } else { "age" }
}

/// How the owner's own tools bring the objects to `/mnt/copy`.
fn fetch(kind: &StoreKind, folder: &str) -> Option<String> {
    let quote = crate::emit::quote::for_shell;
    let here = quote(&format!("/mnt/copy/{folder}"));
    Some(match kind {
        StoreKind::Local(_) => return None,
        StoreKind::S3(s3) => {
            let endpoint = s3.endpoint.as_ref().map(|endpoint| format!(" --endpoint-url {}", quote(endpoint))).unwrap_or_default();
            format!("aws s3 sync{endpoint} {} {here}", quote(&format!("s3://{}/{}{folder}", s3.bucket, below(s3.prefix.as_deref()))))
        }
        StoreKind::Azure(azure) => format!(
            "az storage blob download-batch --account-name {} --source {} --pattern {} --destination /mnt/copy",
            quote(&azure.account),
            quote(&azure.container),
            quote(&format!("{}{folder}/*", below(azure.prefix.as_deref())))
        ),
        StoreKind::Gcs(gcs) => format!(
            "gcloud storage rsync --recursive {} {here}",
            quote(&format!("gs://{}/{}{folder}", gcs.bucket, below(gcs.prefix.as_deref())))
        ),
    })
}

/// `prod/`
fn below(prefix: Option<&str>) -> String {
    prefix.map(|prefix| format!("{}/", prefix.trim_matches('/'))).unwrap_or_default()
}
