//! `hearken status`: what the daemon and its sessions are doing, once or whenever it changes.
//!
//! In: properties on the bus. Out: text, a line of JSON, or the lines that status bars read.

mod bar;
mod changes;
mod fields;

use super::error::{Error, exit};
use crate::cli::{StatusArgs, StatusFormat};
use crate::client::proxies::{ManagerProxy, SessionProxy};
use crate::client::{ClientError, connect, sessions};
use crate::dbus::protocol::{ManagerState, NAME, SessionState, word_for};
use crate::output::print;
use changes::{Change, changes};
use fields::{status_message, text};
use futures::StreamExt;
use serde_json::{Value, json};
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::{Connection, OwnedObjectPath, Variant};

/// Prints what the daemon and its sessions are doing. Returns the exit code.
///
/// # Errors
/// Returns an error if the daemon cannot be reached or standard output cannot be written.
pub fn status(args: &StatusArgs) -> Result<u8, Error> {
    zbus::block_on(async {
        let connection = connect().await?;
        let mut changes = changes(&connection).await?;
        let format = Format::new(args);
        print(format.begin())?;
        let mut shown = String::new();
        loop {
            let now = format.write(&connection).await?;
            if now != shown {
                print(&now)?;
            }
            if !args.follow {
                return Ok(exit::SUCCESS);
            }
            shown = now;
            match changes.next().await {
                Some(Change::Closed) => return Ok(exit::SUCCESS),
                Some(Change::Gone) if !format.is_bar() => return Err(ClientError::Gone.into()),
                Some(Change::Changed | Change::Gone) => {}
                None => return Err(ClientError::Gone.into()),
            }
        }
    })
}

/// How the status is written.
enum Format {
    Text,
    Json,
    Bar(StatusFormat, bool),
}

impl Format {
    fn new(args: &StatusArgs) -> Self {
        match args.format {
            Some(format) => Self::Bar(format, args.follow),
            None if args.json => Self::Json,
            None => Self::Text,
        }
    }

    /// A bar goes on without a daemon, and starts none.
    fn is_bar(&self) -> bool {
        matches!(self, Self::Bar(..))
    }

    /// Returns what stands before the first status.
    fn begin(&self) -> &'static str {
        match self {
            Self::Bar(StatusFormat::I3bar, true) => {
                bar::listen_to_clicks();
                bar::I3BAR_BEGIN
            }
            _ => "",
        }
    }

    async fn write(&self, connection: &Connection) -> Result<String, ClientError> {
        Ok(match self {
            // The first call starts the daemon if it is not running.
            Self::Text => describe(&gather(connection).await?),
            Self::Json => format!("{}\n", gather(connection).await?),
            Self::Bar(format, follows) => {
                let item = bar::Item::new(gather_running(connection).await?.as_ref());
                match format {
                    StatusFormat::Waybar => item.waybar(),
                    StatusFormat::I3bar => item.i3bar(*follows),
                }
            }
        })
    }
}

/// Returns the daemon's status as `hearken status --json` prints it; `None` if it is not running.
/// Does not start it.
///
/// # Errors
/// Returns an error if the bus cannot be reached or the daemon gives no valid answer.
pub fn running() -> Result<Option<Value>, ClientError> {
    zbus::block_on(async { gather_running(&connect().await?).await })
}

async fn gather_running(connection: &Connection) -> Result<Option<Value>, ClientError> {
    let name = BusName::from_static_str(NAME)?;
    let bus = DBusProxy::new(connection).await?;
    if !bus.name_has_owner(name).await? {
        return Ok(None);
    }
    match gather(connection).await {
        Ok(status) => Ok(Some(status)),
        // It has ended meanwhile.
        Err(ClientError::NoDaemon) => Ok(None),
        Err(error) => Err(error),
    }
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
