//! Captions: text at an edge of the screen that takes neither the focus nor clicks.
//!
//! In: text that is being spoken. Out: a surface of the compositor's layer shell, or a window of the X
//! server; the latter also on GNOME, by Xwayland. A thread draws; the newest text replaces an older
//! one that it has not drawn yet.

mod draw;
mod layer;
mod surface;
mod text;
mod x11;

use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tracing::{debug, info};

use crate::advice::Advice;
use crate::settings::presence::CaptionSettings;
use crate::sync::LockExt;
use draw::Painter;
use layer::Layer;
use surface::Surface;
use text::Rolling;
use x11::Window;

/// Time that text stays after the last word.
const LINGER: Duration = Duration::from_secs(6);
/// Time that it stays after the dictation.
const FADE: Duration = Duration::from_millis(1_500);

/// Reason that there are no captions.
#[derive(Debug, thiserror::Error)]
#[error("captions cannot be shown: {0}")]
pub struct CaptionError(String);

impl Advice for CaptionError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some("run this in a desktop session, with DISPLAY or WAYLAND_DISPLAY set".into())
    }
}

/// Captions. Dropping them takes them off the screen.
pub struct Caption {
    shared: Arc<Shared>,
}

/// What the caption's thread and the others share.
struct Shared {
    content: Mutex<Content>,
    /// Wakes the thread.
    wake: OwnedFd,
}

#[derive(Default)]
struct Content {
    text: Rolling,
    /// When it is to go; `None` if nothing is shown.
    until: Option<Instant>,
    is_over: bool,
}

impl Caption {
    /// Starts the thread, with a surface that shows nothing yet.
    ///
    /// # Errors
    /// Returns an error if there is neither a compositor with a layer shell nor an X server.
    pub fn open(settings: &CaptionSettings) -> Result<Self, CaptionError> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let shared = Arc::new(Shared {
            content: Mutex::default(),
            wake: wake.map_err(|error| CaptionError(error.to_string()))?,
        });
        let (opened, answer) = channel();
        let (thread, settings) = (shared.clone(), settings.clone());
        std::thread::spawn(move || run(&thread, &settings, &opened));
        let silent = |_| Err(CaptionError("the thread has ended".to_owned()));
        answer.recv().unwrap_or_else(silent)?;
        Ok(Self { shared })
    }

    /// Shows text of the utterance that is being spoken, in place of what was shown of it.
    pub fn hear(&self, committed: &str, interim: &str, is_final: bool) {
        self.change(|content| {
            content.text.hear(committed, interim, is_final);
            content.until = Some(Instant::now() + LINGER);
        });
    }

    /// Shows a message in place of everything.
    pub fn say(&self, message: &str) {
        self.change(|content| {
            content.text = Rolling::message(message);
            content.until = Some(Instant::now() + LINGER);
        });
    }

    /// Takes the text off soon.
    pub fn fade(&self) {
        self.change(|content| {
            let soon = Instant::now() + FADE;
            content.until = content.until.map(|until| until.min(soon));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Content)) {
        change(&mut self.shared.content.lock_unpoisoned());
        // It fails if the thread has not read the last ones, which wake it all the same.
        let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for Caption {
    fn drop(&mut self) {
        self.change(|content| content.is_over = true);
    }
}

fn open_surface(settings: &CaptionSettings) -> Result<Box<dyn Surface>, CaptionError> {
    let layer = match Layer::open(settings) {
        Ok(layer) => return Ok(Box::new(layer)),
        Err(reason) => reason,
    };
    match Window::open(settings) {
        Ok(window) => Ok(Box::new(window)),
        Err(reason) => Err(CaptionError(format!(
            "the compositor has no layer shell ({layer}), and there is no X server ({reason})"
        ))),
    }
}

/// Draws until the captions are dropped or the screen is gone.
fn run(shared: &Shared, settings: &CaptionSettings, opened: &Sender<Result<(), CaptionError>>) {
    let mut surface = match open_surface(settings) {
        Ok(surface) => surface,
        Err(error) => {
            // The other side waits.
            let _ = opened.send(Err(error));
            return;
        }
    };
    let _ = opened.send(Ok(()));
    let mut painter = None;
    let mut shown = None;
    loop {
        let now = Instant::now();
        let (wanted, until) = {
            let mut content = shared.content.lock_unpoisoned();
            if content.is_over {
                return;
            }
            if content.until.is_some_and(|until| until <= now) {
                content.until = None;
                content.text = Rolling::default();
            }
            let is_shown = content.until.is_some() && !content.text.is_empty();
            let scale = surface.scale();
            (
                is_shown.then(|| (content.text.clone(), scale)),
                content.until,
            )
        };
        let drawn = if wanted == shown {
            Ok(())
        } else {
            match &wanted {
                Some((text, scale)) => {
                    // Fonts are only read once there is something to write.
                    let painter = painter.get_or_insert_with(|| Painter::new(settings));
                    let width = surface.width(settings.width as u32);
                    surface.show(&painter.paint(text, width, *scale))
                }
                None => surface.hide(),
            }
        };
        shown = wanted;
        let waited = drawn.and_then(|()| wait(&mut *surface, &shared.wake, until));
        if let Err(reason) = waited {
            info!("no captions any more: {reason}");
            return;
        }
    }
}

/// Waits for a change of the text, something from the screen, or the time when the text is to go.
fn wait(surface: &mut dyn Surface, wake: &OwnedFd, until: Option<Instant>) -> Result<(), String> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let timeout = left.map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    surface.prepare()?;
    let descriptor = surface.descriptor();
    let mut fds = [
        PollFd::new(&descriptor, PollFlags::IN),
        PollFd::new(wake, PollFlags::IN),
    ];
    let polled = poll(&mut fds, timeout.as_ref());
    let is_readable = fds[0]
        .revents()
        .intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
    if let Err(error) = polled {
        debug!("captions: {error}");
    }
    // Empty if the time is over.
    let _ = rustix::io::read(wake.as_fd(), &mut [0; 8][..]);
    surface.dispatch(is_readable)
}
