//! When the status is to be gathered again.

use crate::client::ClientError;
use crate::dbus::protocol::{NAME, PATH};
use futures::channel::mpsc;
use futures::stream::BoxStream;
use futures::{StreamExt, future, stream};
use rustix::event::{PollFd, PollFlags, poll};
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Something about the daemon or its sessions has changed, or it has started.
    Changed,
    /// The daemon has left the bus.
    Gone,
    /// The reader of standard output has gone.
    Closed,
}

/// Returns the changes from now on. The stream ends with the bus.
///
/// # Errors
/// Returns an error if the bus cannot be used.
pub async fn changes(connection: &Connection) -> Result<BoxStream<'static, Change>, ClientError> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(NAME)
        .path_namespace(PATH)
        .build()?;
    let signals = MessageStream::for_match_rule(rule, connection, None).await?;
    let bus = DBusProxy::new(connection).await?;
    let owners = bus
        .receive_name_owner_changed_with_args(&[(0, NAME)])
        .await?;
    let owned = owners.map(|change| {
        let has_owner = change.args().is_ok_and(|args| args.new_owner().is_some());
        Some(if has_owner {
            Change::Changed
        } else {
            Change::Gone
        })
    });
    let ended = connection.clone();
    let ended = stream::once(async move {
        ended.closed().await;
        None
    });
    let all = stream::select_all([
        signals.map(|_| Some(Change::Changed)).boxed(),
        owned.boxed(),
        reader_gone().map(|()| Some(Change::Closed)).boxed(),
        ended.boxed(),
    ]);
    Ok(all
        .take_while(|change| future::ready(change.is_some()))
        .filter_map(future::ready)
        .boxed())
}

/// Yields once nobody reads standard output any more: a bar that ends must not leave a process behind
/// that has nothing to write.
fn reader_gone() -> BoxStream<'static, ()> {
    let (mut sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let stdout = std::io::stdout();
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        loop {
            match poll(&mut fds, None) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
        // The command may have ended.
        let _ = sender.try_send(());
    });
    receiver.chain(stream::pending()).boxed()
}
