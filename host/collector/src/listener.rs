//! One reader of a kernel's stream for all runs of this `foil`.

use super::{lock, netlink};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// The longest wait of the thread for a message, in milliseconds. Then it checks whether a run is still subscribed.
pub const LONGEST_WAIT: u32 = 500;

/// Identifies a subscribed run within its listener.
pub type Number = u64;

/// A stream of the kernel, and the runs that its messages are for.
pub trait Stream: Send + Sized + 'static {
    /// The name of the thread that reads it.
    const THREAD: &'static str;
    /// What is left to do when the stream is no longer locked, since it locks what its readers lock before the stream.
    type Afterwards;

    /// Another descriptor of its socket, to wait on.
    ///
    /// # Errors
    /// Where there are too many descriptors.
    fn handle(&self) -> io::Result<OwnedFd>;
    /// Processes all pending messages.
    fn catch_up(&mut self) -> Self::Afterwards;
    /// Does what was left to do.
    fn afterwards(left: Self::Afterwards);
    /// How long to wait for the next message, in milliseconds; `None` where the stream broke off.
    fn patience(&self) -> Option<u32>;
    /// Lets go of a run that ended.
    fn forget(&mut self, run: Number);
}

/// Reads a stream. It lives as long as a run is subscribed.
#[derive(Debug)]
pub struct Listener<S> {
    stream: Mutex<S>,
    /// Runs that ended. A separate lock, because a run may end while `stream` is locked.
    over: Mutex<Vec<Number>>,
    next: AtomicU64,
}

/// The listener of this `foil`, where there is one.
pub type Shared<S> = Mutex<Weak<Listener<S>>>;

impl<S: Stream> Listener<S> {
    /// Returns the existing listener, or starts one.
    ///
    /// # Errors
    /// Those of `open`; those of the system, as `failed` says them.
    pub fn get<E>(
        shared: &'static Shared<S>,
        open: impl FnOnce() -> Result<S, E>,
        failed: impl Fn(io::Error) -> E,
    ) -> Result<Arc<Self>, E> {
        let mut known = lock(shared);
        if let Some(listener) = known.upgrade().filter(|listener| lock(&listener.stream).patience().is_some()) {
            return Ok(listener);
        }
        let stream = open()?;
        let handle = stream.handle().map_err(&failed)?;
        let listener =
            Arc::new(Self { stream: Mutex::new(stream), over: Mutex::default(), next: AtomicU64::default() });
        let told = Arc::downgrade(&listener);
        let listen = move || {
            let mut wait = LONGEST_WAIT;
            loop {
                netlink::wait(&[handle.as_fd()], wait);
                let Some(listener) = told.upgrade() else { return };
                listener.catch_up();
                let Some(patience) = lock(&listener.stream).patience() else { return };
                wait = patience;
            }
        };
        // A thread of its own: a busy runtime must not make the socket's buffer overflow.
        std::thread::Builder::new().name(S::THREAD.into()).spawn(listen).map_err(failed)?;
        *known = Arc::downgrade(&listener);
        Ok(listener)
    }

    /// Processes all pending messages.
    pub fn catch_up(&self) {
        let left = {
            let mut stream = lock(&self.stream);
            std::mem::take(&mut *lock(&self.over)).into_iter().for_each(|run| stream.forget(run));
            stream.catch_up()
        };
        S::afterwards(left);
    }

    /// Looks at the stream, or changes who it is for.
    pub fn with<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        look(&mut lock(&self.stream))
    }
}

/// The subscription of one run. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription<S> {
    listener: Arc<Listener<S>>,
    number: Number,
}

impl<S: Stream> Subscription<S> {
    /// Subscribes a run, as `join` does it.
    pub fn new(listener: Arc<Listener<S>>, join: impl FnOnce(&mut S, Number)) -> Self {
        let number = listener.next.fetch_add(1, Ordering::Relaxed);
        // What came before it is not the run's.
        listener.catch_up();
        listener.with(|stream| join(stream, number));
        Self { listener, number }
    }

    /// The number that the stream knows the run by.
    pub fn number(&self) -> Number {
        self.number
    }

    /// As [`Listener::catch_up`].
    pub fn catch_up(&self) {
        self.listener.catch_up();
    }

    /// As [`Listener::with`].
    pub fn with<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        self.listener.with(look)
    }
}

impl<S> Drop for Subscription<S> {
    fn drop(&mut self) {
        lock(&self.listener.over).push(self.number);
    }
}
