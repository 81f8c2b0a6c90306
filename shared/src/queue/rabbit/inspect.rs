//! A look at the broker for people, over a connection of its own.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Connection, ConnectionProperties};

use super::link::{self, CallError, within};
use super::topology::Topology;
use crate::config;
use crate::domain::Failure;

/// A broker that takes messages confirms one that goes nowhere within milliseconds.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);

/// What can be seen of the broker over AMQP. Its version, its limit of open files and which alarm it is are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerReport {
    /// Whether it confirms what is published. One with an alarm of memory or disk does not.
    pub takes_messages: bool,
    /// Messages on the dead queue.
    pub put_aside: u64,
}

/// Connects, asks and leaves; within a small multiple of `rabbitmq.timeout`.
///
/// # Errors
/// `Code::BrokerUnavailable` when it cannot be reached, refuses the log-in or does not answer.
pub async fn inspect(settings: &config::RabbitMq) -> Result<BrokerReport, Failure> {
    let uri = link::uri(settings)?;
    let look = async {
        let properties = ConnectionProperties::default().with_connection_name("rolecall doctor".into());
        let connection = within(settings.timeout, Connection::connect_uri(uri, properties)).await?;
        let report = look(&connection, settings).await;
        // Best effort: a blocked connection may not answer, and it ends with this process.
        drop(within(Duration::from_millis(500), connection.close(200, "seen".into())).await);
        report
    };
    look.await.map_err(|error: CallError| {
        link::unavailable("RabbitMQ cannot be reached, or refuses us.").caused_by(error)
    })
}

async fn look(connection: &Connection, settings: &config::RabbitMq) -> Result<BrokerReport, CallError> {
    let dead = Topology::new(&settings.prefix).dead();
    // A channel of its own: asking for a queue that is not there closes it.
    let channel = within(settings.timeout, connection.create_channel()).await?;
    let passive = QueueDeclareOptions::default().passive();
    let declared = channel.queue_declare(dead, passive, FieldTable::default());
    let put_aside = match within(settings.timeout, declared).await {
        Ok(queue) => queue.message_count().into(),
        Err(error) if link::is_not_found(&error) => 0,
        Err(error) => return Err(error),
    };
    Ok(BrokerReport { takes_messages: takes_messages(connection, settings.timeout).await?, put_aside })
}

/// The broker tells only those who publish that it is blocked, and then stops reading from them: so one message is
/// published that is routed nowhere.
async fn takes_messages(connection: &Connection, timeout: Duration) -> Result<bool, CallError> {
    let channel = within(timeout, connection.create_channel()).await?;
    within(timeout, channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let nowhere: ShortString = format!("rolecall.doctor.{}", uuid::Uuid::new_v4()).into();
    let publish = async {
        let options = BasicPublishOptions::default();
        let confirm =
            channel.basic_publish("".into(), nowhere, options, b"", BasicProperties::default()).await?;
        confirm.await
    };
    match within(CONFIRMED_WITHIN, publish).await {
        Ok(_) => Ok(!connection.status().blocked()),
        Err(CallError::TimedOut(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
