//! Both selections by `ext_data_control_v1`, or by wlroots' protocol before it: setting them, seeing
//! that somebody reads, and what they held before.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use wayland_client::globals::GlobalListContents;
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_seat::{self, WlSeat};
use wayland_client::{Connection, Dispatch, QueueHandle, event_created_child};
use wayland_protocols::ext::data_control::v1::client as ext;
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_manager_v1::{
    self, ZwpVirtualKeyboardManagerV1,
};
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_v1::{
    self, ZwpVirtualKeyboardV1,
};
use wayland_protocols_plasma::fake_input::client::org_kde_kwin_fake_input::{
    self, OrgKdeKwinFakeInput,
};
use wayland_protocols_wlr::data_control::v1::client as wlr;

use super::connection::wait_readable;
use crate::input::board::{Content, Format, SECRET_HINT};

/// Names under which text is offered.
const TEXT_TYPES: [&str; 4] = [
    "text/plain;charset=utf-8",
    "text/plain",
    "UTF8_STRING",
    "TEXT",
];
/// Time that the owner of a selection has to send it.
const READ_TIMEOUT: Duration = Duration::from_millis(500);
/// Most that is saved of one form of a selection, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Clipboard, then primary selection.
pub const SELECTIONS: [usize; 2] = [0, 1];

/// State of the selections.
#[derive(Default)]
pub struct Clipboard {
    /// What others offer.
    offers: [Option<Offer>; 2],
    /// Offers that have just been announced and do not belong to a selection yet.
    announced: Vec<(Offer, Vec<String>)>,
    /// What we own.
    owned: [Option<(u64, Content)>; 2],
    n_set: u64,
    /// Names of the forms that somebody has read since this was last cleared.
    pub reads: Vec<String>,
}

/// An offer and the names of its forms.
#[derive(Clone, PartialEq)]
enum Offer {
    Ext(ext::ext_data_control_offer_v1::ExtDataControlOfferV1),
    Wlr(wlr::zwlr_data_control_offer_v1::ZwlrDataControlOfferV1),
}

/// The device of one of the protocols.
pub enum Device {
    /// The common protocol.
    Ext(
        ext::ext_data_control_manager_v1::ExtDataControlManagerV1,
        ext::ext_data_control_device_v1::ExtDataControlDeviceV1,
    ),
    /// wlroots' protocol.
    Wlr(
        wlr::zwlr_data_control_manager_v1::ZwlrDataControlManagerV1,
        wlr::zwlr_data_control_device_v1::ZwlrDataControlDeviceV1,
    ),
}

/// Which selection a source is for, and its number.
type Source = (usize, u64);

impl Clipboard {
    /// Returns what we own.
    pub fn owned(&self) -> [Option<Content>; 2] {
        SELECTIONS.map(|i| self.owned[i].as_ref().map(|(_, content)| content.clone()))
    }

    /// Returns whether somebody owns clipboard and primary selection.
    pub fn are_owned(&self) -> [bool; 2] {
        SELECTIONS.map(|i| self.owned[i].is_some() || self.offers[i].is_some())
    }

    /// Offers content in a selection; `None` empties it.
    pub fn set_one(
        &mut self,
        device: &Device,
        queue: &QueueHandle<Self>,
        i: usize,
        content: Option<Content>,
    ) {
        self.n_set += 1;
        let source = (i, self.n_set);
        let names = content
            .iter()
            .flat_map(|content| &content.0)
            .map(|format| format.name.clone());
        match device {
            Device::Ext(manager, device) => {
                let offered = content
                    .is_some()
                    .then(|| manager.create_data_source(queue, source));
                if let Some(offered) = &offered {
                    names.for_each(|name| offered.offer(name));
                }
                match i {
                    0 => device.set_selection(offered.as_ref()),
                    _ => device.set_primary_selection(offered.as_ref()),
                }
            }
            Device::Wlr(manager, device) => {
                let offered = content
                    .is_some()
                    .then(|| manager.create_data_source(queue, source));
                if let Some(offered) = &offered {
                    names.for_each(|name| offered.offer(name));
                }
                match i {
                    0 => device.set_selection(offered.as_ref()),
                    _ => device.set_primary_selection(offered.as_ref()),
                }
            }
        }
        self.owned[i] = content.map(|content| (self.n_set, content));
    }

    /// Reads what both selections hold; `None` for an empty one.
    pub fn save(&self, connection: &Connection) -> [Option<Content>; 2] {
        SELECTIONS.map(|i| {
            if let Some((_, content)) = &self.owned[i] {
                return Some(content.clone());
            }
            let offer = self.offers[i].as_ref()?;
            let (_, names) = self
                .announced
                .iter()
                .find(|(announced, _)| announced == offer)?;
            let formats = names.iter().filter_map(|name| {
                Some(Format {
                    name: name.clone(),
                    kind: name.clone(),
                    bits: 8,
                    bytes: receive(connection, offer, name)?,
                })
            });
            Some(Content(formats.collect()))
        })
    }

    fn announce(&mut self, offer: Offer) {
        self.announced.push((offer, Vec::new()));
    }

    fn name(&mut self, offer: &Offer, name: String) {
        let announced = self
            .announced
            .iter_mut()
            .find(|(announced, _)| announced == offer);
        if let Some((_, names)) = announced {
            names.push(name);
        }
    }

    fn select(&mut self, i: usize, offer: Option<Offer>) {
        self.offers[i] = offer;
        let offers = self.offers.clone();
        self.announced.retain(|(offer, _)| {
            let is_used = offers.iter().flatten().any(|used| used == offer);
            if !is_used {
                offer.destroy();
            }
            is_used
        });
    }

    fn send(&mut self, source: Source, name: String, descriptor: OwnedFd) {
        let owned = self.owned[source.0]
            .as_ref()
            .filter(|(number, _)| *number == source.1);
        let format =
            owned.and_then(|(_, content)| content.0.iter().find(|format| format.name == name));
        if let Some(format) = format {
            let bytes = format.bytes.clone();
            // The reader may be slow, or gone.
            std::thread::spawn(move || File::from(descriptor).write_all(&bytes));
            self.reads.push(name);
        }
    }

    fn cancel(&mut self, source: Source) {
        let is_current = self.owned[source.0]
            .as_ref()
            .is_some_and(|(number, _)| *number == source.1);
        if is_current {
            self.owned[source.0] = None;
        }
    }
}

/// Returns text as it is offered.
pub fn text(text: &str) -> Content {
    let format = |name: &str, text: &str| Format {
        name: name.to_owned(),
        kind: name.to_owned(),
        bits: 8,
        bytes: text.as_bytes().to_vec(),
    };
    let texts = TEXT_TYPES.iter().map(|name| format(name, text));
    Content(texts.chain([format(SECRET_HINT, "secret")]).collect())
}

impl Offer {
    fn destroy(&self) {
        match self {
            Self::Ext(offer) => offer.destroy(),
            Self::Wlr(offer) => offer.destroy(),
        }
    }
}

/// Reads one form of an offer.
fn receive(connection: &Connection, offer: &Offer, name: &str) -> Option<Vec<u8>> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).ok()?;
    match offer {
        Offer::Ext(offer) => offer.receive(name.to_owned(), writer.as_fd()),
        Offer::Wlr(offer) => offer.receive(name.to_owned(), writer.as_fd()),
    }
    connection.flush().ok()?;
    drop(writer);
    let mut bytes = Vec::new();
    let until = Instant::now() + READ_TIMEOUT;
    let mut file = File::from(reader);
    let mut piece = vec![0; 64 << 10];
    loop {
        let left = until.checked_duration_since(Instant::now())?;
        if !wait_readable(&file, left) {
            return None;
        }
        match file.read(&mut piece).ok()? {
            0 => return Some(bytes),
            n => bytes.extend_from_slice(&piece[..n]),
        }
        if bytes.len() as u64 > MAX_BYTES {
            return None;
        }
    }
}

/// Objects whose events say nothing.
macro_rules! silent {
    ($object:ty, $event:ty, $data:ty) => {
        impl Dispatch<$object, $data> for Clipboard {
            fn event(
                _: &mut Self,
                _: &$object,
                _: $event,
                _: &$data,
                _: &Connection,
                _: &QueueHandle<Self>,
            ) {
            }
        }
    };
}

/// Receives the events of one of the two protocols, whose names differ only in their prefix.
macro_rules! receive_events {
    ($protocol:ident, $variant:ident, $device:ident :: $Device:ident, $offer:ident :: $Offer:ident,
     $source:ident :: $Source:ident, $manager:ident :: $Manager:ident) => {
        impl Dispatch<$protocol::$device::$Device, ()> for Clipboard {
            fn event(
                clipboard: &mut Self,
                _: &$protocol::$device::$Device,
                event: $protocol::$device::Event,
                (): &(),
                _: &Connection,
                _: &QueueHandle<Self>,
            ) {
                use $protocol::$device::Event;
                match event {
                    Event::DataOffer { id } => clipboard.announce(Offer::$variant(id)),
                    Event::Selection { id } => clipboard.select(0, id.map(Offer::$variant)),
                    Event::PrimarySelection { id } => clipboard.select(1, id.map(Offer::$variant)),
                    _ => {}
                }
            }

            event_created_child!(Self, $protocol::$device::$Device, [
                $protocol::$device::EVT_DATA_OFFER_OPCODE => ($protocol::$offer::$Offer, ()),
            ]);
        }

        impl Dispatch<$protocol::$offer::$Offer, ()> for Clipboard {
            fn event(
                clipboard: &mut Self,
                offer: &$protocol::$offer::$Offer,
                event: $protocol::$offer::Event,
                (): &(),
                _: &Connection,
                _: &QueueHandle<Self>,
            ) {
                if let $protocol::$offer::Event::Offer { mime_type } = event {
                    clipboard.name(&Offer::$variant(offer.clone()), mime_type);
                }
            }
        }

        impl Dispatch<$protocol::$source::$Source, Source> for Clipboard {
            fn event(
                clipboard: &mut Self,
                object: &$protocol::$source::$Source,
                event: $protocol::$source::Event,
                source: &Source,
                _: &Connection,
                _: &QueueHandle<Self>,
            ) {
                use $protocol::$source::Event;
                match event {
                    Event::Send { mime_type, fd } => clipboard.send(*source, mime_type, fd),
                    Event::Cancelled => {
                        clipboard.cancel(*source);
                        object.destroy();
                    }
                    _ => {}
                }
            }
        }

        silent!($protocol::$manager::$Manager, $protocol::$manager::Event, ());
    };
}

receive_events!(
    ext,
    Ext,
    ext_data_control_device_v1::ExtDataControlDeviceV1,
    ext_data_control_offer_v1::ExtDataControlOfferV1,
    ext_data_control_source_v1::ExtDataControlSourceV1,
    ext_data_control_manager_v1::ExtDataControlManagerV1
);
receive_events!(
    wlr,
    Wlr,
    zwlr_data_control_device_v1::ZwlrDataControlDeviceV1,
    zwlr_data_control_offer_v1::ZwlrDataControlOfferV1,
    zwlr_data_control_source_v1::ZwlrDataControlSourceV1,
    zwlr_data_control_manager_v1::ZwlrDataControlManagerV1
);
silent!(WlRegistry, wl_registry::Event, GlobalListContents);
silent!(WlSeat, wl_seat::Event, ());
silent!(
    ZwpVirtualKeyboardManagerV1,
    zwp_virtual_keyboard_manager_v1::Event,
    ()
);
silent!(ZwpVirtualKeyboardV1, zwp_virtual_keyboard_v1::Event, ());
silent!(OrgKdeKwinFakeInput, org_kde_kwin_fake_input::Event, ());
