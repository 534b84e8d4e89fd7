//! `/v1/audio/transcriptions` and its relatives: a recording in, its text out.
//!
//! In: a form with a recording. Out: the answer, at once or as server-sent events while the recording
//! is still being transcribed. If the client leaves, the work ends.

use std::convert::Infallible;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::super::queue::Turn;
use super::super::recording::{self, Gone, Order, RecordingError, Summary};
use super::super::service::Service;
use super::answer::Answer;
use super::asked::{Asked, flag};
use super::error::ApiError;
use super::form::Form;
use crate::output::Segment;
use crate::tokenizer::{Language, Task};

/// `POST /v1/audio/transcriptions`.
pub async fn transcriptions(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, ApiError> {
    answer(&service, request, |_| Ok(Some(Task::Transcribe))).await
}

/// `POST /v1/audio/translations`.
pub async fn translations(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, ApiError> {
    answer(&service, request, |_| Ok(Some(Task::Translate))).await
}

/// `POST /inference`, as whisper.cpp's server has it.
pub async fn inference(State(service): State<Arc<Service>>, request: Request) -> Response {
    let task = |form: &Form| {
        let translates = flag(form, "translate")?;
        Ok(translates.then_some(Task::Translate))
    };
    let answer = answer(&service, request, task).await;
    answer.unwrap_or_else(|error| error.response_with(json!({ "error": error.message() })))
}

async fn answer(
    service: &Arc<Service>,
    request: Request,
    task: impl FnOnce(&Form) -> Result<Option<Task>, ApiError>,
) -> Result<Response, ApiError> {
    // A full queue is told before the recording is sent.
    let place = service.queue.enter().ok_or_else(ApiError::busy)?;
    let config = (service.config)();
    let limit = (config.server.max_upload * 1e6) as u64;
    let mut form = Form::read(request, limit).await?;
    let model = service.engine.model();
    let task = task(&form)?;
    let asked = Asked::read(&form, config, &model, task)?;
    let file = form.file.take();
    let file = file.ok_or_else(|| ApiError::field("file", "the field 'file' is missing"))?;
    let turn = place.turn().await;
    let running = Running::start(service.clone(), file, asked.order.clone(), turn);
    if asked.streams {
        Ok(events(running))
    } else {
        running.collect(&asked, &model).await
    }
}

/// News of a recording that is being transcribed.
enum News {
    /// Text of a window.
    Segments(Vec<Segment>, Language),
    /// The end.
    End(Result<Summary, RecordingError>),
}

/// A recording that is being transcribed. Dropping it ends the work.
struct Running {
    news: UnboundedReceiver<News>,
    stop: Arc<AtomicBool>,
    answer: Answer,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Running {
    /// Transcribes on another thread, which keeps the turn until it has really ended.
    fn start(service: Arc<Service>, file: File, order: Order, turn: Turn) -> Self {
        let (sender, news) = unbounded_channel();
        let stop = Arc::<AtomicBool>::default();
        let running = Self {
            news,
            stop: stop.clone(),
            answer: Answer::default(),
        };
        std::thread::spawn(move || {
            let end = work(&service, &file, &order, &stop, &sender);
            drop(turn);
            // If the client has left, nobody wants to know.
            let _ = sender.send(News::End(end));
        });
        running
    }

    /// Returns the end once it is known; `None` if there was more text before it.
    async fn next(&mut self) -> Option<Result<Summary, ApiError>> {
        match self.news.recv().await {
            Some(News::Segments(segments, language)) => {
                self.answer.push(segments, language);
                None
            }
            Some(News::End(end)) => Some(end.map_err(ApiError::from)),
            None => Some(Err(ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the transcription has failed because of a bug; please report this",
            ))),
        }
    }

    async fn collect(mut self, asked: &Asked, model: &str) -> Result<Response, ApiError> {
        loop {
            if let Some(end) = self.next().await {
                return Ok(self.answer.response(asked, model, &end?));
            }
        }
    }
}

fn work(
    service: &Service,
    file: &File,
    order: &Order,
    stop: &Arc<AtomicBool>,
    sender: &UnboundedSender<News>,
) -> Result<Summary, RecordingError> {
    recording::transcribe(&service.engine, file, order, stop, |segments, language| {
        let news = News::Segments(segments, language);
        sender.send(news).map_err(|_| Gone)
    })
}

/// Server-sent events: the text as it grows, then the whole.
fn events(running: Running) -> Response {
    let events = stream::unfold(Some(running), async |running| {
        let mut running = running?;
        let (event, is_over) = event(&mut running).await;
        Some((Ok::<_, Infallible>(event), (!is_over).then_some(running)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

/// Returns the next event, and whether it is the last.
async fn event(running: &mut Running) -> (Bytes, bool) {
    loop {
        let end = running.next().await;
        let delta = running.answer.delta();
        match (end, delta) {
            (None, None) => {}
            (None, Some(delta)) => {
                let delta = json!({ "type": "transcript.text.delta", "delta": delta });
                return (data(&delta), false);
            }
            (Some(Ok(summary)), _) => {
                let done = data(&running.answer.done(&summary));
                let end = [done, Bytes::from_static(b"data: [DONE]\n\n")];
                return (end.concat().into(), true);
            }
            (Some(Err(error)), _) => return (data(&json!({ "error": error.value() })), true),
        }
    }
}

fn data(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}
