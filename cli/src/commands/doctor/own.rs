//! Our own servers: RabbitMQ, Redis and the control database.

use rolecall_shared::audit::load_key;
use rolecall_shared::config::Settings;
use rolecall_shared::control::Control;
use rolecall_shared::{queue, tickets};

use super::finding::Finding;

const BROKER: &str = "RabbitMQ";
const STORE: &str = "Redis";
const CONTROL: &str = "control database";

/// Over AMQP neither the limit of open files nor the kind of an alarm can be seen.
pub async fn broker(settings: &Settings) -> Vec<Finding> {
    let report = match queue::inspect(&settings.rabbitmq).await {
        Ok(report) => report,
        Err(failure) => {
            let next = "check rabbitmq.url, and on the broker's machine `rabbitmqctl status`";
            return vec![Finding::failure(BROKER, &failure, next)];
        }
    };
    let mut findings = vec![if report.takes_messages {
        Finding::well(BROKER, "reached, and it confirms what is published")
    } else {
        let next = "on the broker's machine: `rabbitmq-diagnostics alarms`, then free memory or disk";
        Finding::fault(BROKER, "it has blocked publishers: an alarm of memory or disk", next)
    }];
    if report.put_aside > 0 {
        let what = format!("{} messages were put aside", report.put_aside);
        findings.push(Finding::warning(BROKER, what, "`rolecall dead list`"));
    }
    findings.push(Finding::unseen(
        BROKER,
        "its limit of open files; at 65536 and more it does not fall silent when there are many queues",
        "on the broker's machine: `rabbitmq-diagnostics status`, under File Descriptors",
    ));
    findings
}

/// What Redis has acknowledged must be on the disk, and must never be thrown away.
pub async fn store(settings: &Settings) -> Vec<Finding> {
    let report = match tickets::inspect(&settings.redis).await {
        Ok(report) => report,
        Err(failure) => {
            return vec![Finding::failure(STORE, &failure, "check redis.url and the server's log")];
        }
    };
    let mut findings = vec![Finding::well(STORE, format!("reached, version {}", report.version))];
    if report.cluster {
        let what = "it is a cluster, over which a change of several keys is impossible";
        findings.push(Finding::fault(STORE, what, "use one server, with replicas or not"));
    }
    if report.eviction != "noeviction" {
        let what = format!("maxmemory-policy is {}: a full server forgets tickets", report.eviction);
        findings.push(Finding::warning(
            STORE,
            what,
            "CONFIG SET maxmemory-policy noeviction, and in redis.conf",
        ));
    }
    if !report.append_only {
        let what = "appendonly is no: a restart loses tickets and passwords";
        findings.push(Finding::warning(STORE, what, "CONFIG SET appendonly yes, and in redis.conf"));
    }
    match report.append_fsync.as_deref() {
        Some("always") => {}
        Some(other) => {
            let what = format!("appendfsync is {other}: a power cut loses the last moments' passwords");
            findings.push(Finding::warning(STORE, what, "CONFIG SET appendfsync always, and in redis.conf"));
        }
        None => findings.push(Finding::unseen(
            STORE,
            "appendfsync: our user may not ask",
            "on the server: CONFIG GET appendfsync; it should be always",
        )),
    }
    findings
}

/// The key is the workers' alone: an api without one is as it should be.
pub fn audit_key(settings: &Settings) -> Finding {
    const SUBJECT: &str = "audit";
    match settings.audit.signing_key_file.as_deref().map(load_key) {
        Some(Ok(key)) => Finding::well(SUBJECT, format!("checkpoints are signed by {}", key.public())),
        Some(Err(error)) => Finding::fault(SUBJECT, error, "`rolecall audit key create`, or mend the file"),
        None => {
            let what =
                "no checkpoints are signed: whoever owns the control database could write the audit anew";
            let next = "set audit.signing_key_file where workers run, then `rolecall audit key create`";
            Finding::warning(SUBJECT, what, next)
        }
    }
}

pub async fn control(settings: &Settings, control: &Control) -> Vec<Finding> {
    if let Err(failure) = control.ping().await {
        let next = "check control.url; the server must be a primary that takes changes";
        return vec![Finding::failure(CONTROL, &failure, next)];
    }
    if let Err(failure) = control.check_migrated().await {
        return vec![Finding::failure(CONTROL, &failure, "`rolecall migrate`")];
    }
    let mut findings = Vec::new();
    match control.inspect().await {
        Ok(report) => {
            let what = format!("migrated, PostgreSQL {}, as {}", report.server_version, report.user);
            findings.push(Finding::well(CONTROL, what));
            if report.may_rewrite_audit {
                let what = format!("{} could rewrite the audit", report.user);
                let next =
                    "give control.url and control.owner_url roles of their own, then `rolecall migrate`";
                findings.push(Finding::warning(CONTROL, what, next));
            }
        }
        Err(failure) => findings.push(Finding::failure(CONTROL, &failure, "`rolecall migrate`")),
    }
    match control.has_accounts().await {
        Ok(has) if has || settings.account.is_some() => {
            findings.push(Finding::well("accounts", "somebody may call"));
        }
        Ok(_) => {
            let next = "`rolecall accounts create NAME`";
            findings.push(Finding::fault("accounts", "there is none: nobody could call", next));
        }
        Err(failure) => findings.push(Finding::failure(CONTROL, &failure, "`rolecall migrate`")),
    }
    findings
}
