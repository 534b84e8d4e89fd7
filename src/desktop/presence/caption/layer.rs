//! Captions on a layer above all windows (`zwlr_layer_shell_v1`: wlroots, KWin, Hyprland, niri,
//! COSMIC).

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use wayland_client::backend::ObjectId;
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_buffer::{self, WlBuffer};
use wayland_client::protocol::wl_compositor::WlCompositor;
use wayland_client::protocol::wl_output::{self, WlOutput};
use wayland_client::protocol::wl_region::WlRegion;
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_shm::{self, WlShm};
use wayland_client::protocol::wl_shm_pool::WlShmPool;
use wayland_client::protocol::wl_surface::{self, WlSurface};
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle, delegate_noop};
use wayland_protocols_wlr::layer_shell::v1::client::zwlr_layer_shell_v1::{
    Layer as ShellLayer, ZwlrLayerShellV1,
};
use wayland_protocols_wlr::layer_shell::v1::client::zwlr_layer_surface_v1::{
    self, Anchor, KeyboardInteractivity, ZwlrLayerSurfaceV1,
};

use super::surface::{Picture, Surface};
use crate::settings::desktop::CaptionPosition;
use crate::settings::presence::CaptionSettings;

/// Versions of the compositor's surface that know scales, and of outputs that tell theirs.
const COMPOSITOR_VERSIONS: std::ops::RangeInclusive<u32> = 4..=5;
const OUTPUT_VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;

/// A layer surface that exists while something is shown.
pub struct Layer {
    connection: Connection,
    queue: EventQueue<State>,
    state: State,
    compositor: WlCompositor,
    shm: WlShm,
    shell: ZwlrLayerShellV1,
    position: CaptionPosition,
    margin: i32,
    shown: Option<Shown>,
}

struct Shown {
    surface: WlSurface,
    layer: ZwlrLayerSurfaceV1,
    /// Width and height before they are scaled.
    size: (u32, u32),
}

#[derive(Default)]
struct State {
    outputs: HashMap<ObjectId, Output>,
    /// Where the surface is.
    current: Option<ObjectId>,
    is_configured: bool,
    /// The compositor has taken the surface, for example with its output.
    is_closed: bool,
}

struct Output {
    scale: u32,
    /// Width in pixels.
    width: u32,
}

impl Layer {
    /// Connects to the compositor.
    pub fn open(settings: &CaptionSettings) -> Result<Self, String> {
        let connection = Connection::connect_to_env().map_err(|error| error.to_string())?;
        let (globals, mut queue) =
            registry_queue_init::<State>(&connection).map_err(|error| error.to_string())?;
        let handle = queue.handle();
        let missing = |error: wayland_client::globals::BindError| error.to_string();
        let shell = globals.bind(&handle, 1..=4, ()).map_err(missing)?;
        let shm = globals.bind(&handle, 1..=1, ()).map_err(missing)?;
        let compositor = globals
            .bind(&handle, COMPOSITOR_VERSIONS, ())
            .map_err(missing)?;
        globals.contents().with_list(|list| {
            for global in list.iter().filter(|global| {
                global.interface == WlOutput::interface().name
                    && global.version >= *OUTPUT_VERSIONS.start()
            }) {
                let version = global.version.min(*OUTPUT_VERSIONS.end());
                globals
                    .registry()
                    .bind::<WlOutput, _, _>(global.name, version, &handle, ());
            }
        });
        let mut state = State::default();
        queue
            .roundtrip(&mut state)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            connection,
            queue,
            state,
            compositor,
            shm,
            shell,
            position: settings.position,
            margin: settings.margin as i32,
            shown: None,
        })
    }

    fn output(&self) -> Option<&Output> {
        let outputs = &self.state.outputs;
        let current = self.state.current.as_ref().and_then(|id| outputs.get(id));
        // Before it is shown, the compositor has not chosen: the largest scale is sharp everywhere.
        current.or_else(|| outputs.values().max_by_key(|output| output.scale))
    }

    /// Makes a surface of this size, or changes the size of the one that is there with the next
    /// picture.
    fn place(&mut self, size: (u32, u32)) -> Result<(), String> {
        if let Some(shown) = &mut self.shown {
            if shown.size != size {
                shown.size = size;
                shown.layer.set_size(size.0, size.1);
            }
            return Ok(());
        }
        let handle = self.queue.handle();
        let surface = self.compositor.create_surface(&handle, ());
        let namespace = "hearken".to_owned();
        let layer = self.shell.get_layer_surface(
            &surface,
            None,
            ShellLayer::Overlay,
            namespace,
            &handle,
            (),
        );
        let (edge, [top, bottom]) = match self.position {
            CaptionPosition::Top => (Anchor::Top, [self.margin, 0]),
            CaptionPosition::Bottom => (Anchor::Bottom, [0, self.margin]),
        };
        layer.set_anchor(edge);
        layer.set_margin(top, 0, bottom, 0);
        layer.set_size(size.0, size.1);
        layer.set_keyboard_interactivity(KeyboardInteractivity::None);
        // Clicks go to what is below.
        let nothing = self.compositor.create_region(&handle, ());
        surface.set_input_region(Some(&nothing));
        nothing.destroy();
        surface.commit();
        self.state.is_configured = false;
        self.shown = Some(Shown {
            surface,
            layer,
            size,
        });
        self.wait_for_configure()
    }

    fn wait_for_configure(&mut self) -> Result<(), String> {
        while !self.state.is_configured && !self.state.is_closed {
            self.queue
                .blocking_dispatch(&mut self.state)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn buffer(&self, picture: &Picture) -> Result<WlBuffer, String> {
        let file = memfd_create("hearken-caption", MemfdFlags::CLOEXEC);
        let mut file = std::fs::File::from(file.map_err(|error| error.to_string())?);
        file.write_all(&picture.pixels)
            .map_err(|error| error.to_string())?;
        let handle = self.queue.handle();
        let [width, height, length] = [picture.width, picture.height, picture.pixels.len() as u32]
            .map(|n| i32::try_from(n).unwrap_or(i32::MAX));
        let pool = self.shm.create_pool(file.as_fd(), length, &handle, ());
        let stride = width * 4;
        let format = wl_shm::Format::Argb8888;
        let buffer = pool.create_buffer(0, width, height, stride, format, &handle, ());
        pool.destroy();
        Ok(buffer)
    }
}

impl Surface for Layer {
    fn width(&self, wanted: u32) -> u32 {
        let there = self.output().map(|output| output.width / output.scale);
        there
            .filter(|width| *width > 0)
            .map_or(wanted, |width| wanted.min(width))
    }

    fn scale(&self) -> u32 {
        self.output().map_or(1, |output| output.scale)
    }

    fn show(&mut self, picture: &Picture) -> Result<(), String> {
        let scale = picture.scale;
        self.place((picture.width / scale, picture.height.div_ceil(scale)))?;
        let buffer = self.buffer(picture)?;
        if let Some(Shown { surface, .. }) = &self.shown {
            surface.set_buffer_scale(scale as i32);
            surface.attach(Some(&buffer), 0, 0);
            surface.damage_buffer(0, 0, i32::MAX, i32::MAX);
            surface.commit();
        }
        Ok(())
    }

    fn hide(&mut self) -> Result<(), String> {
        if let Some(shown) = self.shown.take() {
            shown.layer.destroy();
            shown.surface.destroy();
            self.state.current = None;
        }
        Ok(())
    }

    fn prepare(&mut self) -> Result<(), String> {
        self.queue
            .dispatch_pending(&mut self.state)
            .map_err(|error| error.to_string())?;
        self.queue.flush().map_err(|error| error.to_string())
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }

    fn dispatch(&mut self, is_readable: bool) -> Result<(), String> {
        if is_readable && let Some(guard) = self.queue.prepare_read() {
            guard.read().map_err(|error| error.to_string())?;
        }
        self.prepare()?;
        if std::mem::take(&mut self.state.is_closed) {
            // The next text makes a new one, on an output that is there.
            self.hide()?;
        }
        Ok(())
    }
}

impl Dispatch<WlRegistry, GlobalListContents> for State {
    fn event(
        _: &mut Self,
        registry: &WlRegistry,
        event: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        handle: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global {
            name,
            interface,
            version,
        } = event
            && interface == WlOutput::interface().name
            && version >= *OUTPUT_VERSIONS.start()
        {
            let version = version.min(*OUTPUT_VERSIONS.end());
            registry.bind::<WlOutput, _, _>(name, version, handle, ());
        }
    }
}

impl Dispatch<WlOutput, ()> for State {
    fn event(
        state: &mut Self,
        output: &WlOutput,
        event: wl_output::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let known = state
            .outputs
            .entry(output.id())
            .or_insert(Output { scale: 1, width: 0 });
        match event {
            wl_output::Event::Scale { factor } => known.scale = factor.unsigned_abs().max(1),
            wl_output::Event::Mode { width, .. } => known.width = width.unsigned_abs(),
            _ => {}
        }
    }
}

impl Dispatch<WlSurface, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlSurface,
        event: wl_surface::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_surface::Event::Enter { output } = event {
            state.current = Some(output.id());
        }
    }
}

impl Dispatch<ZwlrLayerSurfaceV1, ()> for State {
    fn event(
        state: &mut Self,
        layer: &ZwlrLayerSurfaceV1,
        event: zwlr_layer_surface_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            zwlr_layer_surface_v1::Event::Configure { serial, .. } => {
                layer.ack_configure(serial);
                state.is_configured = true;
            }
            zwlr_layer_surface_v1::Event::Closed => state.is_closed = true,
            _ => {}
        }
    }
}

impl Dispatch<WlBuffer, ()> for State {
    fn event(
        _: &mut Self,
        buffer: &WlBuffer,
        event: wl_buffer::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        // The compositor no longer reads it; the next text has one of its own.
        if let wl_buffer::Event::Release = event {
            buffer.destroy();
        }
    }
}

delegate_noop!(State: ignore WlCompositor);
delegate_noop!(State: ignore WlShm);
delegate_noop!(State: ignore WlShmPool);
delegate_noop!(State: ignore WlRegion);
delegate_noop!(State: ignore ZwlrLayerShellV1);
