//! The window in the student's session, on X11 and Wayland.
//!
//! Everything happens in the main thread: it sleeps until the screen wakes it or the student does
//! something, paints the newest picture, and sleeps again. A window that nobody can see is not
//! painted.
//!
//! F11 or a double click: full screen, Escape leaves it. Wheel: zoom at the pointer. Drag: move.
//! 0: the whole picture again.

use std::{num::NonZeroU32, rc::Rc, sync::Arc, time::Duration};

use alfarid_agent::clock;
use softbuffer::{Context, SoftBufferError, Surface};
use thiserror::Error;
use winit::{
    application::ApplicationHandler,
    dpi::{LogicalSize, PhysicalPosition},
    error::{EventLoopError, OsError},
    event::{ElementState, KeyEvent, MouseButton, MouseScrollDelta, StartCause, WindowEvent},
    event_loop::{ActiveEventLoop, ControlFlow, EventLoop, EventLoopProxy, OwnedDisplayHandle},
    keyboard::{Key, NamedKey},
    window::{CursorIcon, Fullscreen, Window, WindowId},
};

use crate::{
    paint::Painter,
    screen::Screen,
    view::{Size, View},
};

const NAME: &str = "Alfarid";

/// The first size of the window, where it is not full screen.
const FIRST_SIZE: LogicalSize<u32> = LogicalSize::new(1280, 720);

const DOUBLE_CLICK: Duration = Duration::from_millis(400);

/// On a full screen the pointer goes away when it has rested this long.
const POINTER_RESTS: Duration = Duration::from_secs(2);

/// Pixels of a touch pad that count as one step of the wheel.
const PIXELS_A_STEP: f64 = 40.0;

#[derive(Debug, Error)]
pub(crate) enum WindowError {
    #[error("reach a display: is this run inside a graphical session?")]
    Display(#[source] EventLoopError),
    #[error("open the window")]
    Open(#[source] OsError),
    /// As text: the library's error cannot leave the thread of the window.
    #[error("get pixels for the window: {0}")]
    Pixels(String),
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn pixels(error: SoftBufferError) -> WindowError {
    WindowError::Pixels(error.to_string())
}

/// The screen has something new.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wake;

/// The event loop, made first: what wakes it belongs to the screen.
pub(crate) struct WindowSink {
    events: EventLoop<Wake>,
    full_screen: bool,
}

impl WindowSink {
    pub(crate) fn new(full_screen: bool) -> Result<Self, WindowError> {
        let events = EventLoop::with_user_event().build().map_err(WindowError::Display)?;
        Ok(Self { events, full_screen })
    }

    pub(crate) fn waker(&self) -> EventLoopProxy<Wake> {
        self.events.create_proxy()
    }

    /// Shows `screen` until the window is closed or the player ends. Blocks.
    pub(crate) fn run(self, screen: Arc<Screen>, painter: Painter) -> Result<(), WindowError> {
        let display = self.events.owned_display_handle();
        let context = Context::new(display).map_err(pixels)?;
        let mut app = App {
            screen,
            painter,
            context,
            full_screen: self.full_screen,
            shown: None,
            failure: None,
        };
        self.events.run_app(&mut app).map_err(WindowError::Display)?;
        app.failure.map_or(Ok(()), Err)
    }
}

struct App {
    screen: Arc<Screen>,
    painter: Painter,
    context: Context<OwnedDisplayHandle>,
    full_screen: bool,
    /// The window, from the moment the system lets one be made.
    shown: Option<Shown>,
    failure: Option<WindowError>,
}

struct Shown {
    surface: Surface<OwnedDisplayHandle, Rc<Window>>,
    window: Rc<Window>,
    view: View,
    pointer: Pointer,
    /// Nobody can see the window.
    hidden: bool,
    title: Option<String>,
}

#[derive(Default)]
struct Pointer {
    at: (f64, f64),
    pressed: bool,
    clicked: Option<Duration>,
    moved: Duration,
    resting: bool,
}

impl ApplicationHandler<Wake> for App {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        if self.shown.is_none() {
            match Shown::open(events, &self.context, self.full_screen) {
                Ok(shown) => self.shown = Some(shown),
                Err(error) => self.fail(events, error),
            }
        }
    }

    fn user_event(&mut self, events: &ActiveEventLoop, _: Wake) {
        self.look(events);
    }

    fn new_events(&mut self, events: &ActiveEventLoop, cause: StartCause) {
        if matches!(cause, StartCause::ResumeTimeReached { .. }) {
            self.look(events);
        }
    }

    fn window_event(&mut self, events: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        if event == WindowEvent::CloseRequested {
            return events.exit();
        }
        let Some(shown) = &mut self.shown else { return };
        if event == WindowEvent::RedrawRequested {
            if let Err(error) = shown.paint(&self.screen, &mut self.painter) {
                self.fail(events, error);
            }
            return;
        }
        let size = self.screen.on_show().1.map(|picture| picture.size());
        shown.obey(event, size);
        self.look(events);
    }
}

impl App {
    /// Takes in what is new and sets when to look again.
    fn look(&mut self, events: &ActiveEventLoop) {
        if self.screen.has_ended() {
            return events.exit();
        }
        let now = clock::monotonic();
        let news = self.screen.advance(now);
        let Some(shown) = &mut self.shown else { return };
        if news.scene {
            shown.follow_lesson(self.screen.title());
        }
        if news.picture || news.scene {
            shown.window.request_redraw();
        }
        let due = news.next_due.into_iter().chain(shown.rest_pointer(now)).min();
        events.set_control_flow(match due {
            Some(due) => ControlFlow::wait_duration(due.saturating_sub(now)),
            None => ControlFlow::Wait,
        });
    }

    fn fail(&mut self, events: &ActiveEventLoop, error: WindowError) {
        self.failure = Some(error);
        events.exit();
    }
}

impl Shown {
    fn open(
        events: &ActiveEventLoop,
        context: &Context<OwnedDisplayHandle>,
        full_screen: bool,
    ) -> Result<Self, WindowError> {
        let mut attributes =
            Window::default_attributes().with_title(NAME).with_inner_size(FIRST_SIZE);
        if full_screen {
            attributes = attributes.with_fullscreen(Some(Fullscreen::Borderless(None)));
            // Where no window manager does it: a machine that shows nothing but lessons.
            let monitor = events.primary_monitor().or_else(|| events.available_monitors().next());
            if let Some(monitor) = monitor {
                attributes =
                    attributes.with_inner_size(monitor.size()).with_position(monitor.position());
            }
        }
        let window = Rc::new(events.create_window(attributes).map_err(WindowError::Open)?);
        let surface = Surface::new(context, Rc::clone(&window)).map_err(pixels)?;
        Ok(Self {
            surface,
            window,
            view: View::default(),
            pointer: Pointer::default(),
            hidden: false,
            title: None,
        })
    }

    /// A lesson that begins brings its window to the front; each begins with the whole picture.
    fn follow_lesson(&mut self, title: Option<String>) {
        if self.title == title {
            return;
        }
        self.view = View::default();
        match &title {
            Some(title) if !title.is_empty() => {
                self.window.set_title(&format!("{title} – {NAME}"));
            }
            _ => self.window.set_title(NAME),
        }
        if self.title.is_none() {
            self.window.set_minimized(false);
            self.window.focus_window();
        }
        self.title = title;
    }

    fn paint(&mut self, screen: &Screen, painter: &mut Painter) -> Result<(), WindowError> {
        let size = self.size();
        let (Some(width), Some(height)) = (NonZeroU32::new(size.0), NonZeroU32::new(size.1)) else {
            return Ok(());
        };
        if self.hidden {
            return Ok(());
        }
        let (scene, picture) = screen.on_show();
        self.surface.resize(width, height).map_err(pixels)?;
        let mut buffer = self.surface.buffer_mut().map_err(pixels)?;
        painter.paint(&mut buffer, size, &scene, picture.as_ref(), &self.view);
        self.window.pre_present_notify();
        buffer.present().map_err(pixels)
    }

    /// Does what the student does. `picture` is the size of the one on show.
    fn obey(&mut self, event: WindowEvent, picture: Option<Size>) {
        match event {
            WindowEvent::Occluded(hidden) => {
                self.hidden = hidden;
                self.window.request_redraw();
            }
            WindowEvent::Resized(_) | WindowEvent::ScaleFactorChanged { .. } => {
                self.window.request_redraw();
            }
            WindowEvent::KeyboardInput { event, .. } => self.key(&event),
            WindowEvent::CursorMoved { position, .. } => self.pointer_moved(position, picture),
            WindowEvent::MouseInput { state, button: MouseButton::Left, .. } => self.press(state),
            WindowEvent::MouseWheel { delta, .. } => {
                let steps = match delta {
                    MouseScrollDelta::LineDelta(_, lines) => f64::from(lines),
                    MouseScrollDelta::PixelDelta(pixels) => pixels.y / PIXELS_A_STEP,
                };
                if let Some(picture) = picture {
                    self.view.zoom_at(steps, self.pointer.at, picture, self.size());
                    self.show_pointer();
                    self.window.request_redraw();
                }
            }
            _ => {}
        }
    }

    fn key(&mut self, event: &KeyEvent) {
        if event.state != ElementState::Pressed {
            return;
        }
        match &event.logical_key {
            Key::Named(NamedKey::F11) if !event.repeat => self.toggle_full_screen(),
            Key::Named(NamedKey::Escape) if self.window.fullscreen().is_some() => {
                self.toggle_full_screen();
            }
            Key::Character(key) if key == "0" => {
                self.view = View::default();
                self.show_pointer();
                self.window.request_redraw();
            }
            _ => {}
        }
    }

    fn press(&mut self, state: ElementState) {
        self.pointer.pressed = state == ElementState::Pressed;
        if !self.pointer.pressed {
            return self.show_pointer();
        }
        let now = clock::monotonic();
        let before = self.pointer.clicked.replace(now);
        if before.is_some_and(|before| now.saturating_sub(before) < DOUBLE_CLICK) {
            self.pointer.clicked = None;
            self.toggle_full_screen();
        }
        self.show_pointer();
    }

    fn pointer_moved(&mut self, to: PhysicalPosition<f64>, picture: Option<Size>) {
        let from = std::mem::replace(&mut self.pointer.at, (to.x, to.y));
        if self.pointer.pressed
            && let Some(picture) = picture
        {
            // What began as a click has become a drag.
            self.pointer.clicked = None;
            self.view.drag((to.x - from.0, to.y - from.1), picture, self.size());
            self.window.request_redraw();
        }
        self.show_pointer();
    }

    fn toggle_full_screen(&mut self) {
        let full = self.window.fullscreen().is_none();
        self.window.set_fullscreen(full.then_some(Fullscreen::Borderless(None)));
    }

    fn show_pointer(&mut self) {
        self.pointer.moved = clock::monotonic();
        if std::mem::take(&mut self.pointer.resting) {
            self.window.set_cursor_visible(true);
        }
        self.window.set_cursor(match (self.view.is_whole(), self.pointer.pressed) {
            (true, _) => CursorIcon::Default,
            (false, false) => CursorIcon::Grab,
            (false, true) => CursorIcon::Grabbing,
        });
    }

    /// Hides a pointer that rests on a full screen. When to look again, if it still may.
    fn rest_pointer(&mut self, now: Duration) -> Option<Duration> {
        if self.pointer.resting || self.window.fullscreen().is_none() {
            return None;
        }
        let due = self.pointer.moved + POINTER_RESTS;
        if now < due {
            return Some(due);
        }
        self.pointer.resting = true;
        self.window.set_cursor_visible(false);
        None
    }

    fn size(&self) -> Size {
        self.window.inner_size().into()
    }
}
