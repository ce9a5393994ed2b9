//! `legation status` and `legation doctor`: how it stands, and what to do.

use std::path::{Path, PathBuf};

use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::{Failure, Output, runtime};
use crate::daemon::STATUS_SOCKET;
use crate::exit_code::ExitCode;

/// Where the running site is.
#[derive(Debug, clap::Args)]
pub(super) struct WatchArguments {
    /// The site, running on this machine.
    #[arg(long, env = "LEGATION_DIR")]
    dir: PathBuf,
}

/// Shows the status; succeeds whatever it says.
pub(super) fn status(arguments: &WatchArguments, output: &Output) -> Result<(), Failure> {
    let (json, text) = ask(&arguments.dir)?;
    output.result(&json, || text);
    Ok(())
}

/// Says what is wrong and what to do; fails with the code of the worst.
pub(super) fn doctor(arguments: &WatchArguments, output: &Output) -> Result<(), Failure> {
    let (json, _text) = ask(&arguments.dir)?;
    let alarms = json.get("alarms").and_then(Value::as_array).cloned().unwrap_or_default();
    let word = |alarm: &Value, key: &str| alarm.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let lines: Vec<String> = alarms
        .iter()
        .enumerate()
        .map(|(number, alarm)| {
            let urgent = if word(alarm, "severity") == "alarm" { " (urgent)" } else { "" };
            format!("{}. {}{urgent}\n   What to do: {}", number + 1, word(alarm, "text"), word(alarm, "next_step"))
        })
        .collect();
    let Some(worst) = alarms.first() else {
        let name = word(&json, "site");
        output.result(&serde_json::json!({ "site": name, "alarms": [] }), || {
            format!("{name}: all is well, nothing to do")
        });
        return Ok(());
    };
    let number = worst.get("exit_code").and_then(Value::as_u64).unwrap_or(1);
    let message = format!("{} found:\n{}", things(lines.len()), lines.join("\n"));
    let code = u8::try_from(number).ok().and_then(ExitCode::from_number).unwrap_or(ExitCode::Unexpected);
    Err(Failure { report: Some(serde_json::json!({ "alarms": alarms })), ..Failure::new(code, message) })
}

fn things(count: usize) -> String {
    if count == 1 { "one thing".to_owned() } else { format!("{count} things") }
}

/// Asks the running site for its status, as a value and as text.
pub(crate) fn ask(dir: &Path) -> Result<(Value, String), Failure> {
    let path = dir.join(STATUS_SOCKET);
    let not_running = |error: std::io::Error| {
        let why = format!(
            "no site is running in {} ({error}): start it with 'legation site run', or look into its log",
            dir.display()
        );
        Failure::new(ExitCode::SitesUnreachable, why)
    };
    runtime()?.block_on(async {
        let stream = tokio::net::UnixStream::connect(&path).await.map_err(not_running)?;
        let shaken = hyper::client::conn::http1::handshake::<_, String>(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(Failure::unexpected)?;
        let connection = tokio::spawn(connection);
        let json = get(&mut sender, "/status").await?;
        let text = get(&mut sender, "/status.txt").await?;
        connection.abort();
        Ok((serde_json::from_str(&json).map_err(Failure::unexpected)?, text))
    })
}

async fn get(sender: &mut hyper::client::conn::http1::SendRequest<String>, path: &str) -> Result<String, Failure> {
    // The connection takes the next request only when it is done with the one before; else it cancels it.
    sender.ready().await.map_err(Failure::unexpected)?;
    let request = hyper::Request::get(path).header(hyper::header::HOST, "site").body(String::new());
    let response = sender.send_request(request.map_err(Failure::unexpected)?).await.map_err(Failure::unexpected)?;
    let body = response.into_body().collect().await.map_err(Failure::unexpected)?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}
