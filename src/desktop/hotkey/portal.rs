//! Hotkeys by the portal `GlobalShortcuts` (GNOME 48 and newer, KDE, Hyprland).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::stream::BoxStream;
use futures::{StreamExt, future, stream};
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant, Variant};

use super::Key;

const NAME: &str = "org.freedesktop.portal.Desktop";
const PATH: &str = "/org/freedesktop/portal/desktop";
const SHORTCUTS: &str = "org.freedesktop.portal.GlobalShortcuts";
const REGISTRY: &str = "org.freedesktop.host.portal.Registry";
/// Id of the application; a .desktop file has this name.
const APPLICATION: &str = "org.hearken.Hearken";

/// A shortcut that was pressed or released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortcut {
    /// The key that dictates.
    Dictate(Key),
    /// The key that drops what is being said.
    Cancel,
    /// The key that deletes the last utterance.
    Undo,
}

/// Binds the shortcuts, and again whenever the portal is restarted. `keys` is what the user is offered
/// for the first.
///
/// # Errors
/// Returns an error if there is no such portal or the user has refused.
pub async fn bind(
    connection: &Connection,
    keys: &str,
) -> zbus::Result<BoxStream<'static, Shortcut>> {
    let proxy = DBusProxy::new(connection).await?;
    let owners = proxy
        .receive_name_owner_changed_with_args(&[(0, NAME)])
        .await?;
    let first = bind_once(connection, keys).await?;
    let (connection, keys) = (connection.clone(), keys.to_owned());
    let restarts = owners.then(move |change| {
        let (connection, keys) = (connection.clone(), keys.clone());
        async move {
            let is_back = change
                .args()
                .is_ok_and(|change| change.new_owner().is_some());
            if is_back && let Ok(shortcuts) = bind_once(&connection, &keys).await {
                return shortcuts;
            }
            // A key that was held reports no release any more.
            stream::once(future::ready(Shortcut::Dictate(Key::Up))).boxed()
        }
    });
    let first = stream::once(future::ready(first));
    Ok(first.chain(restarts).flatten_unordered(None).boxed())
}

async fn bind_once(
    connection: &Connection,
    keys: &str,
) -> zbus::Result<BoxStream<'static, Shortcut>> {
    // Old portals take the id from the name of the unit instead.
    let _ = connection
        .call_method(
            Some(NAME),
            PATH,
            Some(REGISTRY),
            "Register",
            &(APPLICATION, Options::new()),
        )
        .await;
    let token = token();
    let mut options = Options::new();
    options.insert("session_handle_token", Variant::from(token.as_str()));
    let (code, results) =
        request(connection, "CreateSession", |options| (options,), options).await?;
    let session = results
        .get("session_handle")
        .and_then(|path| <&str>::try_from(path).ok());
    let session = session.filter(|_| code == 0).ok_or_else(refused)?;
    let session = OwnedObjectPath::try_from(session.to_owned()).map_err(|_| refused())?;
    let events = signals(connection, session.clone()).await?;
    let shortcut = |id: &'static str, description: &'static str, keys: Option<&str>| {
        let mut properties = Options::new();
        properties.insert("description", Variant::from(description));
        if let Some(keys) = keys {
            properties.insert("preferred_trigger", Variant::from(keys.to_owned()));
        }
        (id, properties)
    };
    let shortcuts = vec![
        shortcut("dictate", "Dictate", Some(keys)),
        shortcut("cancel", "Drop what is being said", None),
        shortcut("undo", "Delete the last dictated utterance", None),
    ];
    let arguments = |options| (session, shortcuts, "", options);
    let (code, results) = request(connection, "BindShortcuts", arguments, Options::new()).await?;
    // GNOME 48 answers 2, which means failure, though it has bound them.
    let is_bound = code == 0 || (code == 2 && results.contains_key("shortcuts"));
    if is_bound { Ok(events) } else { Err(refused()) }
}

type Options<'a> = HashMap<&'a str, Variant<'a>>;
type Results = HashMap<String, OwnedVariant>;

fn refused() -> zbus::Error {
    zbus::Error::Failure("the desktop has not granted the shortcut".to_owned())
}

fn token() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "hearken{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Calls a method whose answer is a signal. `arguments` places the options.
async fn request<'a, B>(
    connection: &Connection,
    member: &str,
    arguments: impl FnOnce(Options<'a>) -> B,
    mut options: Options<'a>,
) -> zbus::Result<(u32, Results)>
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    let token = token();
    let sender = connection
        .unique_name()
        .map(|name| name.trim_start_matches(':').replace('.', "_"));
    let path = format!("{PATH}/request/{}/{token}", sender.unwrap_or_default());
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .interface("org.freedesktop.portal.Request")
        .member("Response")
        .path(path)
        .build()?;
    let mut responses = MessageStream::for_match_rule(rule, connection, None).await?;
    options.insert("handle_token", Variant::from(token));
    let body = arguments(options);
    connection
        .call_method(Some(NAME), PATH, Some(SHORTCUTS), member, &body)
        .await?;
    let response = responses.next().await.ok_or_else(refused)??;
    response.body().deserialize()
}

/// Returns what happens to the shortcuts of a session.
async fn signals(
    connection: &Connection,
    session: OwnedObjectPath,
) -> zbus::Result<BoxStream<'static, Shortcut>> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .interface(SHORTCUTS)
        .path(PATH)
        .build()?;
    let messages = MessageStream::for_match_rule(rule, connection, None).await?;
    let parsed = messages.filter_map(move |message| {
        future::ready(message.ok().and_then(|message| parse(&message, &session)))
    });
    Ok(parsed.boxed())
}

fn parse(message: &Message, own: &OwnedObjectPath) -> Option<Shortcut> {
    let header = message.header();
    let key = match header.member()?.as_str() {
        "Activated" => Key::Down,
        "Deactivated" => Key::Up,
        _ => return None,
    };
    let (session, id, _, _): (OwnedObjectPath, String, u64, Results) =
        message.body().deserialize().ok()?;
    match (id.as_str(), key) {
        _ if session != *own => None,
        ("dictate", key) => Some(Shortcut::Dictate(key)),
        ("cancel", Key::Down) => Some(Shortcut::Cancel),
        ("undo", Key::Down) => Some(Shortcut::Undo),
        _ => None,
    }
}
