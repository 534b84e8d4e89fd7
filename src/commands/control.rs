//! `hearken start`, `stop`, `toggle` and `status`: control and list the sessions of the daemon.

use super::error::{Error, exit};
use crate::cli::StatusArgs;
use crate::client::proxies::{ManagerProxy, SessionProxy};
use crate::client::session::gone;
use crate::client::{ClientError, connect};
use crate::dbus::protocol::{ManagerState, NAME, PATH, SessionState, session_number, word_for};
use crate::output::print;
use futures::StreamExt;
use futures::future::{Either, select};
use serde_json::{Value, json};
use zbus::fdo::{DBusProxy, ObjectManagerProxy};
use zbus::message::Type;
use zbus::names::BusName;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, Variant};

/// What to do with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Open the microphone.
    Start,
    /// Close the microphone.
    Stop,
    /// Open the microphone, or close it if it is open.
    Toggle,
}

/// Controls the newest session. Returns the exit code.
///
/// # Errors
/// Returns an error if there is no session, or if the daemon cannot be reached or refuses.
pub fn control(control: Control) -> Result<u8, Error> {
    zbus::block_on(async {
        let connection = connect().await?;
        let newest = sessions(&connection)
            .await?
            .pop()
            .ok_or(ClientError::NoSession)?;
        let session = SessionProxy::builder(&connection)
            .path(newest)
            .build()
            .await?;
        let done = match control {
            Control::Start => session.start().await,
            Control::Stop => session.stop().await,
            Control::Toggle => session.toggle().await,
        };
        done?;
        Ok(exit::SUCCESS)
    })
}

/// Prints what the daemon and its sessions are doing. Returns the exit code.
///
/// # Errors
/// Returns an error if the daemon cannot be reached or standard output cannot be written.
pub fn status(args: &StatusArgs) -> Result<u8, Error> {
    zbus::block_on(async {
        let connection = connect().await?;
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(NAME)
            .path_namespace(PATH)
            .build();
        let rule = rule?;
        let mut changes = MessageStream::for_match_rule(rule, &connection, None).await?;
        // The first call starts the daemon if it is not running.
        let mut status = gather(&connection).await?;
        let mut gone = gone(&connection).await?;
        let mut shown = String::new();
        loop {
            let now = if args.json {
                format!("{status}\n")
            } else {
                describe(&status)
            };
            if now != shown {
                print(&now)?;
            }
            if !args.follow {
                return Ok(exit::SUCCESS);
            }
            shown = now;
            match select(gone.next(), changes.next()).await {
                Either::Right((Some(Ok(_)), _)) => status = gather(&connection).await?,
                _ => return Err(ClientError::Gone.into()),
            }
        }
    })
}

/// Returns the daemon's status as `hearken status --json` prints it; `None` if it is not running.
/// Does not start it.
///
/// # Errors
/// Returns an error if the bus cannot be reached or the daemon gives no valid answer.
pub fn running() -> Result<Option<Value>, ClientError> {
    zbus::block_on(async {
        let connection = connect().await?;
        let name = BusName::from_static_str(NAME)?;
        if DBusProxy::new(&connection)
            .await?
            .name_has_owner(name)
            .await?
        {
            gather(&connection).await.map(Some)
        } else {
            Ok(None)
        }
    })
}

/// Returns the paths of the sessions, oldest first.
async fn sessions(connection: &Connection) -> Result<Vec<OwnedObjectPath>, ClientError> {
    let manager = ObjectManagerProxy::new(connection, NAME, PATH).await?;
    let objects = manager.get_managed_objects().await?;
    let mut paths: Vec<_> = objects.into_keys().collect();
    paths.retain(|path| session_number(path).is_some());
    paths.sort_by_key(|path| session_number(path));
    Ok(paths)
}

async fn gather(connection: &Connection) -> Result<Value, ClientError> {
    let manager = ManagerProxy::new(connection).await?;
    let mut listed = Vec::new();
    for path in sessions(connection).await? {
        // A session may end meanwhile.
        if let Ok(session) = gather_session(connection, path).await {
            listed.push(session);
        }
    }
    Ok(json!({
        "version": manager.version().await?,
        "state": word_for::<ManagerState>(manager.state().await?),
        "status_message": manager.status_message().await?,
        "model": manager.model().await?,
        "backend": manager.backend().await?,
        "pre_capture": manager.pre_capture().await?,
        "sessions": listed,
    }))
}

async fn gather_session(
    connection: &Connection,
    path: OwnedObjectPath,
) -> Result<Value, ClientError> {
    let session = SessionProxy::builder(connection)
        .path(path.clone())
        .build()
        .await?;
    let mut metrics = serde_json::Map::new();
    for (name, value) in session.metrics().await? {
        let value = match Variant::from(value) {
            Variant::F64(x) => json!(x),
            Variant::U64(n) => json!(n),
            _ => continue,
        };
        metrics.insert(name, value);
    }
    Ok(json!({
        "path": path.as_str(),
        "state": word_for::<SessionState>(session.state().await?),
        "device": session.device().await?,
        "status_message": session.status_message().await?,
        "metrics": metrics,
    }))
}

/// Formats the status for people.
fn describe(status: &Value) -> String {
    let text = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let status_message = |value: &Value| match text(value, "status_message") {
        status_message if status_message.is_empty() => status_message,
        status_message => format!(": {status_message}"),
    };
    let mut lines = format!(
        "hearken {}: {}, model {} on the {}{}\n",
        text(status, "version"),
        text(status, "state"),
        text(status, "model"),
        text(status, "backend"),
        status_message(status)
    );
    if let Some(seconds) = status
        .get("pre_capture")
        .and_then(Value::as_f64)
        .filter(|s| *s > 0.0)
    {
        lines += &format!("the microphone is open; the last {seconds} s are kept\n");
    }
    for session in status
        .get("sessions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let state = format!("{} {}", text(session, "state"), text(session, "device"));
        let parts: Vec<String> = std::iter::once(state.trim_end().to_owned())
            .chain(metrics(session))
            .collect();
        lines += &format!(
            "{}: {}{}\n",
            text(session, "path"),
            parts.join(", "),
            status_message(session)
        );
    }
    lines
}

/// Formats the metrics of a session; those without a value yet are left out.
fn metrics(session: &Value) -> impl Iterator<Item = String> {
    let metric = |name: &str, text: fn(f64) -> String| {
        let value = session
            .pointer(&format!("/metrics/{name}"))
            .and_then(Value::as_f64);
        value.filter(|value| *value > 0.0).map(text)
    };
    let all = [
        metric("audio", |s| format!("{s:.1} s heard")),
        metric("step", |s| format!("step {s:.1} s")),
        metric("committed_p95", |s| format!("words after {s:.2} s (p95)")),
        metric("final_p95", |s| format!("finals after {s:.2} s (p95)")),
        metric("real_time_factor", |x| format!("real-time factor {x:.2}")),
        metric("overruns", |n| format!("{n} overruns")),
    ];
    all.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_shows_the_values_that_exist() {
        let session = |state: &str, device: &str, status_message: &str, metrics: Value| json!({"path": "/1", "state": state, "device": device, "status_message": status_message, "metrics": metrics});
        let none = json!({"audio": 0.0, "step": 0.0, "committed_p95": 0.0, "final_p95": 0.0, "overruns": 0});
        let some = json!({"audio": 3.25, "step": 0.5, "committed_p95": 0.0, "real_time_factor": 0.1, "overruns": 2});
        let status = json!({
            "version": "1.0", "state": "ready", "status_message": "", "model": "base", "backend": "cpu", "pre_capture": 0.0,
            "sessions": [session("idle", "", "", none), session("device-lost", "mic", "it is gone", some)],
        });
        let expected = "hearken 1.0: ready, model base on the cpu\n/1: idle\n\
            /1: device-lost mic, 3.2 s heard, step 0.5 s, real-time factor 0.10, 2 overruns: it is gone\n";
        assert_eq!(describe(&status), expected);
    }
}
