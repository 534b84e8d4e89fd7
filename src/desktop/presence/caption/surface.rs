//! What the layer shell and the X server have in common.

use std::os::fd::BorrowedFd;

/// A picture: rows of pixels with four bytes each, blue, green, red and opacity, where the colours are
/// multiplied by the opacity. Compositors call it ARGB8888 on this byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width and height in pixels.
    pub width: u32,
    pub height: u32,
    /// Pixels of the screen for one of the settings.
    pub scale: u32,
    pub pixels: Vec<u8>,
}

/// A place on the screen that takes neither focus nor clicks. Errors say why it is gone.
pub trait Surface {
    /// Returns the width that is there of the one that is wanted.
    fn width(&self, wanted: u32) -> u32;

    /// Returns the pixels of the screen for one of the settings.
    fn scale(&self) -> u32;

    /// Shows a picture.
    fn show(&mut self, picture: &Picture) -> Result<(), String>;

    /// Shows nothing.
    fn hide(&mut self) -> Result<(), String>;

    /// Sends what is to be sent before the descriptor is waited for.
    fn prepare(&mut self) -> Result<(), String>;

    /// Returns what to wait for.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Handles what has come.
    fn dispatch(&mut self, is_readable: bool) -> Result<(), String>;
}
