//! A made-up fleet: policies of about a hundred lines, no two alike, the same for every run.

mod inventory;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

pub use inventory::write_inventory;

const ZONES: [&str; 8] =
    ["UTC", "Europe/Oslo", "America/New_York", "Asia/Kolkata", "Australia/Sydney", "America/Sao_Paulo", "Asia/Tokyo", "Africa/Nairobi"];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Writes `count` policies into `folder`, and gives their number of lines.
pub fn write_fleet(folder: &Path, count: usize) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    let mut lines = 0;
    for number in 0..count {
        let text = policy(number);
        lines += text.lines().count();
        fs::write(folder.join(format!("service-{number:04}.yaml")), text)?;
    }
    Ok(lines)
}

/// The same, with every tenth policy changed: one that moves a job, one that keeps less.
pub fn write_changed_fleet(folder: &Path, count: usize) -> io::Result<()> {
    write_fleet(folder, count)?;
    for number in (0..count).step_by(10) {
        let text = policy(number).replace("daily: 30", "daily: 14").replace("workers: 2", "workers: 4");
        fs::write(folder.join(format!("service-{number:04}.yaml")), text)?;
    }
    Ok(())
}

fn policy(number: usize) -> String {
    let zone = ZONES[number % ZONES.len()];
    let (hour, minute) = (number / 7 % 5, number % 60);
    let (day, next_day) = (DAYS[number % 7], DAYS[(number + 3) % 7]);
    let nightly = match number % 4 {
        0 => format!(r#"{{ cron: "{minute} {hour} * * *" }}"#),
        1 => format!(r#"{{ at: "{hour:02}:{minute:02}" }}"#),
        2 => format!(r#"{{ cron: "{minute} {hour} * * mon-sun", timezone: UTC }}"#),
        _ => format!(r#"{{ on: [{}], at: "{hour:02}:{minute:02}" }}"#, DAYS.join(", ")),
    };
    let drill = match number % 3 {
        0 => format!(r#"{{ first: {day}, of: month, at: "14:00" }}"#),
        1 => format!(r#"{{ last: {day}, of: quarter, at: "14:00" }}"#),
        _ => r#"{ day: 15, of: month, at: "14:00" }"#.to_owned(),
    };
    let mut text = format!(
        r#"# Service {number}: orders and their history.
version: 1
policy: service-{number:04}
description: Orders of shop {number} and what became of them
owner: team-{team}@example.com
review_by: 2030-03-31
timezone: {zone}

cluster:
  connection: service=service-{number:04}
  password: {{ file: /run/credentials/service-{number:04} }}
  data_directory: /var/lib/postgresql/16/main
  hosts:
    service-{number:04}-1: {{ role: primary }}
    service-{number:04}-2: {{ role: standby, connection: service=service-{number:04}-replica, backups: true }}
    service-{number:04}-3: {{ role: staging }}
  databases: [shop]

# What is promised.
objectives:
  rpo: 15m
  rto: 8h
  scenarios:
    server-loss: {{ recover: cluster, rpo: 15m, rto: 8h, priority: P0 }}
    region-loss: {{ recover: cluster, from: offsite, rpo: 1h, rto: 12h, priority: P0 }}
  assume:
    cluster_size: {size}GB
    wal_per_hour: 2GB
    backup: 200MB/s
    restore: 200MB/s
    replay: 80MB/s
    provision: 20m

# Where the copies are.
stores:
  main:
    s3: {{ bucket: backups-{team}, prefix: service-{number:04}, region: eu-central-1, account: "111122223333" }}
    capacity: 20TB
  offsite:
    s3: {{ bucket: offsite-{team}, prefix: service-{number:04}, region: us-east-2, account: "444455556666" }}

encryption:
  age:
    recipients:
      - age1f0m9p3zd2mahglpkekesqeyak932w7eke9yd950surlhpyv60vqqgpy2qt
      - age16wtqeg8jyhk7k4kv4w0ljz48cen8ls3skap2qgjqeat6jt3rvakqtaleas
    identity: {{ file: /etc/seawall/identity.txt }}
  rotate_every: 1y

compression: {{ zstd: {{ level: {level} }} }}

wal: {{ store: main, copies: [offsite], timeout: 60s, keep: 14d }}

# What runs, and how long it stays.
backups:
  nightly:
    physical: {{ workers: 2 }}
    schedule: {nightly}
    store: main
    copies: [offsite]
    keep: {{ daily: 30, weekly: 12, monthly: 12, yearly: 7 }}
    timeout: 6h
  system:
    files: {{ paths: [/etc/postgresql, /etc/ssl/shop], globals: true }}
    schedule: {{ on: {next_day}, at: "03:15" }}
    window: weekly
    store: offsite
    keep: {{ for: 12 weeks }}

windows:
  weekly: {{ on: {next_day}, from: "03:00", to: "05:00" }}

verify:
  weekly: {{ schedule: {{ on: {day}, at: "08:00" }} }}

# What proves it.
drills:
  restore:
    restore: {{ latest: nightly }}
    schedule: {drill}
    host: service-{number:04}-3
    rehearses: server-loss
    expect:
      constraints: {{ check: constraints-valid }}
"#,
        team = number % 20,
        size = 50 + number % 400,
        level = 1 + number % 3,
    );
    for table in 0..8 {
        let at_least = 1_000 * (table + 1) + number;
        let _ = writeln!(text, r#"      rows-{table}: {{ sql: "select count(*) from shop.table_{table}", at_least: {at_least} }}"#);
    }
    text.push_str(
        r#"
# Who is told.
receivers:
  dba: { email: { to: [dba@example.com] } }
  ops: { slack: { webhook: { env: SLACK_WEBHOOK } } }

alerts:
  routes:
    - { severity: critical, to: [dba, ops], escalate: [{ after: 30m, to: [ops] }] }
    - { severity: warning, to: [ops] }
  thresholds:
    backup_age: 26h
    replication_lag: { above: 300s, for: 2m, severity: warning }

smtp: { host: mail.example.com, from: seawall@example.com, user: seawall, password: { env: SMTP_PASSWORD } }
"#,
    );
    text
}
