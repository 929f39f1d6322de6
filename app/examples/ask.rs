//! Questions and answers in both directions: a client asks the server, the server asks one client or a whole
//! room, and everybody is told who has not answered.
//!
//! `cargo run --example ask`, then <http://localhost:3000/> in several tabs.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use yamabiko::{AckFailure, AcksFailure, App, Config, Html, Namespace, Reject, Socket, serve};

#[derive(Deserialize)]
struct Sum {
    numbers: Vec<f64>,
}

#[derive(Serialize)]
struct Total {
    sum: f64,
    mean: f64,
}

/// What a room says to a question.
#[derive(Serialize)]
struct Poll {
    yes: usize,
    no: usize,
    /// Who did not answer, or not with yes or no.
    missing: Vec<String>,
}

/// A client's answer to a poll.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Vote {
    Yes,
    No,
}

fn questions() -> Namespace {
    Namespace::new()
        .on_connect(async |socket: Socket| -> Result<(), Reject> { Ok(socket.join("voters")?) })
        // What a handler returns is the answer; an error is `{ "error": … }`.
        .on("sum", |_: Socket, Sum { numbers }: Sum| match numbers.len() {
            0 => Err(Reject::new("there is nothing to add up")),
            count => {
                let sum: f64 = numbers.iter().sum();
                Ok(Total { sum, mean: sum / count as f64 })
            }
        })
        // The answer of another client, who may take its time, but not for ever.
        .on("ask", async |socket: Socket, whom: String, what: String| {
            let found = socket.everyone().to(&whom).fetch_sockets().await;
            let other = found.into_iter().next().ok_or("nobody of that name is here")?;
            let answer =
                other.emit_with_ack::<String>("question", &(what,), Duration::from_secs(1));
            answer.await.map_err(|failure| match failure {
                AckFailure::TimedOut => Reject::new("no answer"),
                AckFailure::Disconnected => Reject::new("gone"),
                other => Reject::of(other),
            })
        })
        .on("poll", async |socket: Socket, what: String| -> Result<Poll, Reject> {
            let voters = socket.everyone().to("voters").timeout(Duration::from_secs(3));
            let (votes, missing) = match voters.emit_with_ack::<Vote>("vote", &(what,)).await {
                Ok(votes) => (votes, Vec::new()),
                Err(AcksFailure::Incomplete(some)) => {
                    let misfits = some.misfits.into_iter().map(|(who, _)| who);
                    (some.responses, some.missing.into_iter().chain(misfits).collect())
                }
                Err(other) => return Err(Reject::of(other)),
            };
            let yes = votes.iter().filter(|vote| matches!(vote, Vote::Yes)).count();
            Ok(Poll { yes, no: votes.len() - yes, missing })
        })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve(Config::from_args()?, |_core| {
        App::new()
            .namespace("/", questions())
            .get("/", async |_| Html(include_str!("pages/ask.html")))
    })?;
    Ok(())
}
