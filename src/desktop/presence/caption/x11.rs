//! Captions as a window of the X server that the window manager leaves alone (override-redirect).
//! GNOME shows it above all windows, too, by Xwayland.

use std::os::fd::{AsFd, BorrowedFd};

use x11rb::connection::Connection;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::shape::SK;
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xproto::{
    AtomEnum, ColormapAlloc, ConfigureWindowAux, ConnectionExt as _, CreateGCAux, CreateWindowAux,
    Gcontext, ImageFormat, PropMode, Screen, StackMode, VisualClass, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::surface::{Picture, Surface};
use crate::settings::desktop::CaptionPosition;
use crate::settings::presence::CaptionSettings;

/// Rows that are sent at once, so that a request stays below the server's limit.
const ROWS: usize = 16;

/// A window.
pub struct Window {
    connection: RustConnection,
    id: u32,
    graphics: Gcontext,
    depth: u8,
    /// Left, top, width and height of the monitor.
    monitor: [i32; 4],
    position: CaptionPosition,
    margin: i32,
    is_mapped: bool,
    /// Whether a compositor blends windows. If so, the window stays, clear: some window managers
    /// give each new one the focus.
    is_blended: bool,
    width: u32,
    height: u32,
}

impl Window {
    /// Connects to the X server.
    pub fn open(settings: &CaptionSettings) -> Result<Self, String> {
        Self::try_open(settings).map_err(|error| error.to_string())
    }

    fn try_open(settings: &CaptionSettings) -> Result<Self, Box<dyn std::error::Error>> {
        let (connection, number) = x11rb::connect(None)?;
        let screen = &connection.setup().roots[number];
        let (depth, visual) = argb(screen).unwrap_or((screen.root_depth, screen.root_visual));
        let manager = format!("_NET_WM_CM_S{number}");
        let manager = connection.intern_atom(false, manager.as_bytes())?.reply()?;
        let owner = connection.get_selection_owner(manager.atom)?.reply()?;
        let colours = connection.generate_id()?;
        connection.create_colormap(ColormapAlloc::NONE, colours, screen.root, visual)?;
        let id = connection.generate_id()?;
        let values = CreateWindowAux::new()
            .override_redirect(1)
            .background_pixel(0)
            .border_pixel(0)
            .colormap(colours);
        let class = WindowClass::INPUT_OUTPUT;
        connection.create_window(
            depth,
            id,
            screen.root,
            0,
            0,
            1,
            1,
            0,
            class,
            visual,
            &values,
        )?;
        // Clicks go to what is below.
        connection.xfixes_query_version(5, 0)?.reply()?;
        let nothing = connection.generate_id()?;
        connection.xfixes_create_region(nothing, &[])?;
        connection.xfixes_set_window_shape_region(id, SK::INPUT, 0, 0, nothing)?;
        let atom = |name: &str| -> Result<u32, Box<dyn std::error::Error>> {
            Ok(connection
                .intern_atom(false, name.as_bytes())?
                .reply()?
                .atom)
        };
        connection.change_property32(
            PropMode::REPLACE,
            id,
            atom("_NET_WM_WINDOW_TYPE")?,
            AtomEnum::ATOM,
            &[atom("_NET_WM_WINDOW_TYPE_NOTIFICATION")?],
        )?;
        connection.change_property8(
            PropMode::REPLACE,
            id,
            AtomEnum::WM_CLASS,
            AtomEnum::STRING,
            b"hearken-captions\0Hearken\0",
        )?;
        let graphics = connection.generate_id()?;
        connection.create_gc(graphics, id, &CreateGCAux::new())?;
        let monitor = monitor(&connection, screen)?;
        connection.flush()?;
        Ok(Self {
            id,
            graphics,
            depth,
            monitor,
            position: settings.position,
            margin: settings.margin as i32,
            is_mapped: false,
            is_blended: owner.owner != x11rb::NONE && depth == 32,
            connection,
            width: 0,
            height: 0,
        })
    }

    fn try_show(&mut self, picture: &Picture) -> Result<(), Box<dyn std::error::Error>> {
        let [left, top, width, height] = self.monitor;
        let y = match self.position {
            CaptionPosition::Top => top + self.margin,
            CaptionPosition::Bottom => top + height - picture.height as i32 - self.margin,
        };
        let place = ConfigureWindowAux::new()
            .x(left + (width - picture.width as i32) / 2)
            .y(y)
            .width(picture.width)
            .height(picture.height)
            .stack_mode(StackMode::ABOVE);
        self.connection.configure_window(self.id, &place)?;
        if !self.is_mapped {
            self.is_mapped = true;
            self.connection.map_window(self.id)?;
        }
        (self.width, self.height) = (picture.width, picture.height);
        let row = picture.width as usize * 4;
        for (i, rows) in picture.pixels.chunks(row * ROWS).enumerate() {
            self.connection.put_image(
                ImageFormat::Z_PIXMAP,
                self.id,
                self.graphics,
                u16::try_from(picture.width)?,
                u16::try_from(rows.len() / row)?,
                0,
                i16::try_from(i * ROWS)?,
                0,
                self.depth,
                rows,
            )?;
        }
        Ok(self.connection.flush()?)
    }

    fn try_hide(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        if self.is_blended && self.is_mapped {
            // Whole: the window's background is clear.
            self.connection.clear_area(false, self.id, 0, 0, 0, 0)?;
        } else if std::mem::take(&mut self.is_mapped) {
            self.connection.unmap_window(self.id)?;
        }
        Ok(self.connection.flush()?)
    }
}

/// Returns a visual with opacity.
fn argb(screen: &Screen) -> Option<(u8, u32)> {
    let depths = screen
        .allowed_depths
        .iter()
        .filter(|depth| depth.depth == 32);
    let mut visuals = depths.flat_map(|depth| &depth.visuals);
    let visual = visuals.find(|visual| visual.class == VisualClass::TRUE_COLOR)?;
    Some((32, visual.visual_id))
}

/// Returns left, top, width and height of the primary monitor.
fn monitor(
    connection: &RustConnection,
    screen: &Screen,
) -> Result<[i32; 4], Box<dyn std::error::Error>> {
    let whole = [
        0,
        0,
        screen.width_in_pixels.into(),
        screen.height_in_pixels.into(),
    ];
    let Ok(reply) = connection.randr_get_monitors(screen.root, true)?.reply() else {
        return Ok(whole);
    };
    let primary = reply.monitors.iter().find(|monitor| monitor.primary);
    let monitor = primary.or(reply.monitors.first());
    Ok(monitor.map_or(whole, |monitor| {
        [
            monitor.x.into(),
            monitor.y.into(),
            monitor.width.into(),
            monitor.height.into(),
        ]
    }))
}

impl Surface for Window {
    fn width(&self, wanted: u32) -> u32 {
        wanted.min(self.monitor[2].unsigned_abs())
    }

    fn scale(&self) -> u32 {
        1
    }

    fn show(&mut self, picture: &Picture) -> Result<(), String> {
        self.try_show(picture).map_err(|error| error.to_string())
    }

    fn hide(&mut self) -> Result<(), String> {
        self.try_hide().map_err(|error| error.to_string())
    }

    fn prepare(&mut self) -> Result<(), String> {
        self.dispatch(true)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.connection.stream().as_fd()
    }

    fn dispatch(&mut self, _is_readable: bool) -> Result<(), String> {
        // No event matters; an error means that the server has gone.
        while self
            .connection
            .poll_for_event()
            .map_err(|error| error.to_string())?
            .is_some()
        {}
        Ok(())
    }
}
