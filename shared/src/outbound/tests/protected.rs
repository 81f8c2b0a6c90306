//! Targets, broker, Redis and control database: not to be reached, by any of their names.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::{Names, PUBLIC, Targets, TestClock, settings, with_targets};
use crate::config::Settings;
use crate::outbound::{Outbound, Refusal, Trouble, own_hosts};

const REDIS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(93, 184, 216, 35));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(93, 184, 216, 36));

fn names() -> Arc<Names> {
    Names::new(&[
        ("db1.example.com", &[&[PUBLIC]]),
        ("DB1.Example.com.", &[&[OTHER]]),
        ("db1.example.com.", &[&[OTHER]]),
        ("alias.example.com", &[&[PUBLIC]]),
        ("redis.internal", &[&[REDIS]]),
        ("cache.example.com", &[&[OTHER, REDIS]]),
        ("ci.example.com", &[&[OTHER]]),
    ])
}

async fn check(outbound: &Outbound, host: &str) -> Result<(), Trouble> {
    outbound.check(&format!("https://{host}/hook").parse().unwrap()).await
}

#[tokio::test]
async fn neither_their_names_nor_their_addresses_may_be_reached() {
    let targets = Targets::at(&["db1.example.com", "2606:2800::1"]);
    let outbound = with_targets(&settings(&[]), names(), targets, Arc::default());
    let refused = [
        "db1.example.com",
        "DB1.Example.com",
        "db1.example.com.",
        "alias.example.com",
        "redis.internal",
        "cache.example.com",
        "93.184.216.34",
        "[::ffff:93.184.216.35]",
        "[2606:2800::1]",
    ];
    for host in refused {
        assert_eq!(check(&outbound, host).await, Err(Refusal::Protected.into()), "{host}");
    }
    for host in ["ci.example.com", "93.184.216.36", "[2606:2800::2]"] {
        assert_eq!(check(&outbound, host).await, Ok(()), "{host}");
    }
}

#[tokio::test]
async fn a_listed_network_opens_them() {
    let targets = Targets::at(&["db1.example.com"]);
    let outbound = with_targets(&settings(&["93.184.216.34/31"]), names(), targets, Arc::default());
    for host in ["db1.example.com", "alias.example.com", "redis.internal", "93.184.216.35"] {
        assert_eq!(check(&outbound, host).await, Ok(()), "{host}");
    }
    // Its name is a target's, and this address is not in the network.
    assert_eq!(check(&outbound, "db1.example.com.").await, Err(Refusal::Protected.into()));
}

/// Without knowing where the targets stand nothing public is reached; later the last list stays.
#[tokio::test]
async fn what_cannot_be_checked_is_not_tried() {
    let (targets, clock) = (Arc::<Targets>::default(), Arc::<TestClock>::default());
    let outbound = with_targets(&settings(&["10.20.0.0/16"]), names(), targets.clone(), clock.clone());
    assert_eq!(check(&outbound, "ci.example.com").await, Err(Trouble::Unchecked));
    assert_eq!(check(&outbound, "10.20.0.1").await, Ok(()));
    targets.set(Some(&["alias.example.com"]));
    assert_eq!(check(&outbound, "ci.example.com").await, Ok(()));
    targets.set(None);
    clock.advance(31);
    assert_eq!(check(&outbound, "alias.example.com").await, Err(Refusal::Protected.into()));
    assert_eq!(check(&outbound, "ci.example.com").await, Ok(()));
}

#[tokio::test]
async fn a_target_that_is_registered_later_is_found() {
    let (targets, clock) = (Targets::at(&[]), Arc::<TestClock>::default());
    let outbound = with_targets(&settings(&[]), names(), targets.clone(), clock.clone());
    assert_eq!(check(&outbound, "db1.example.com").await, Ok(()));
    targets.set(Some(&["db1.example.com"]));
    clock.advance(29);
    assert_eq!(check(&outbound, "db1.example.com").await, Ok(()));
    clock.advance(1);
    // Whoever notices that the list is old does not wait for the new one.
    let found = async {
        while check(&outbound, "db1.example.com").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), found).await.unwrap();
}

#[test]
fn our_own_servers_are_read_from_their_urls() {
    let dir = tempfile::tempdir().unwrap();
    let key_file = dir.path().join("seal.keys");
    std::fs::write(&key_file, "").unwrap();
    let file = format!(
        "rabbitmq.url = 'amqp://u:p@mq.example.com:5672/%2f'\n\
         redis.url = 'rediss://u:p@[2606:2800::9]:6379/0'\n\
         control.url = 'postgresql://w:p@pg1.example.com,pg2.example.com/rolecall'\n\
         control.owner_url = 'host=pg1.example.com hostaddr=93.184.216.37 user=o dbname=rolecall'\n\
         seal.key_file = '{}'\n\
         default_login = {{ user = 'dba', password = 'x', hosts = ['db9.example.com:5432'] }}\n",
        key_file.display()
    );
    let settings = Settings::from_sources(Some((Path::new("rolecall.toml"), &file)), &[].into()).unwrap();
    assert_eq!(
        own_hosts(&settings),
        [
            "mq.example.com",
            "2606:2800::9",
            "pg1.example.com",
            "pg2.example.com",
            "pg1.example.com",
            "93.184.216.37",
            "db9.example.com"
        ]
    );
}
