//! `hearken last`: prints what was said in the last seconds.

use super::error::{Error, exit};
use super::filtering::Filtering;
use crate::cli::LastArgs;
use crate::client::proxies::ManagerProxy;
use crate::client::session::{ClientEvent, gone, interruptions};
use crate::client::{ClientError, connect};
use crate::dbus::options;
use crate::dbus::protocol::{JobStatus, NAME, PATH, signal};
use crate::output::{eprint_line, print};
use futures::future::{Either, select};
use futures::{StreamExt, pin_mut, stream};
use std::collections::HashMap;
use zbus::message::Type;
use zbus::{MatchRule, Message, MessageStream, OwnedVariant};

/// Result of a job: its text, or why it failed.
type Ended = Result<String, String>;

/// Prints what was said in the last seconds. Returns the exit code.
///
/// # Errors
/// Returns an error if the daemon cannot be reached or keeps no audio, if the transcription fails, or
/// if standard output cannot be written.
pub fn last(args: &LastArgs) -> Result<u8, Error> {
    let filter = args.text.filter()?;
    zbus::block_on(async {
        let connection = connect().await?;
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(NAME)
            .path_namespace(PATH)
            .member(signal::FINISHED);
        let rule = rule.build()?;
        let signals = MessageStream::for_match_rule(rule, &connection, None).await?;
        let manager = ManagerProxy::new(&connection).await?;
        let kept = manager.pre_capture().await?;
        if 0.0 < kept && kept < args.seconds {
            eprint_line(&format!(
                "hearken: only the last {kept} s are kept (audio.pre_capture in the configuration)"
            ));
        }
        let ending = stream::select(gone(&connection).await?, interruptions());
        // Only this connection receives the result, and after the reply to this call.
        manager
            .transcribe_last(args.seconds, options::write(&args.text.options()))
            .await?;
        let ended =
            signals.filter_map(|message| std::future::ready(message.ok().and_then(|m| ended(&m))));
        pin_mut!(ended, ending);
        match select(ended.next(), ending.next()).await {
            // The daemon drops the jobs of a client that leaves.
            Either::Right((Some(ClientEvent::Interrupted), _)) => Ok(exit::INTERRUPTED),
            Either::Right(_) | Either::Left((None, _)) => Err(ClientError::Gone.into()),
            Either::Left((Some(Ok(text)), _)) if text.is_empty() => {
                eprint_line("hearken: no speech in the audio");
                Ok(exit::SUCCESS)
            }
            Either::Left((Some(Ok(text)), _)) => {
                let text = Filtering::new(filter.as_ref()).text(text.trim_end());
                print(&format!("{text}\n"))?;
                Ok(exit::SUCCESS)
            }
            Either::Left((Some(Err(reason)), _)) => Err(ClientError::Failed(reason).into()),
        }
    })
}

fn ended(message: &Message) -> Option<Ended> {
    let (status, text, mut details): (u32, String, HashMap<String, OwnedVariant>) =
        message.body().deserialize().ok()?;
    let error = details
        .remove("error")
        .and_then(|error| String::try_from(error).ok());
    Some(match JobStatus::try_from(status) {
        Ok(JobStatus::Done) => Ok(text),
        _ => Err(error.unwrap_or_default()),
    })
}
