use std::time::{Duration, Instant};

use agentkeys_api::daemon::{CONTAINER, CREDENTIALS};
use agentkeys_client::{DaemonClient, Dispenser};
use agentkeys_types::RoleName;
use futures_util::future::try_join_all;

use super::{
    Home,
    address::{Address, Stream},
    echo::Echo,
};
use crate::{
    load::{Connection, Latencies},
    report::{line, micros},
    system::System,
};

/// How many ask at once, where not one after another.
const CALLERS: usize = 8;
/// How many calls each latency is taken from.
const CALLS: usize = 4000;
/// How often it is taken: the median of these counts.
const ROUNDS: usize = 3;
/// What the socket may take, in µs: the median, and what 99 of 100 stay under.
const AIM: (u32, u32) = (300, 1000);

/// How somebody asks for credentials that are at hand.
#[derive(Clone)]
enum Way {
    /// As agents do, on a connection of its own for each call.
    Client(DaemonClient),
    /// On a connection of its own for each call.
    Anew(Address, Vec<u8>),
    /// On one connection that is kept.
    Kept(Address, Vec<u8>),
}

/// Asks by one way, for as long as its connection is kept.
struct Caller {
    way: Way,
    kept: Option<Connection<Box<dyn Stream>>>,
}

/// Prints how long each door takes to give what is at hand, beside an echo of as many bytes on such a socket.
pub(super) async fn report(system: &System, home: &Home) -> anyhow::Result<()> {
    line("");
    line("| door, credentials at hand | callers | p50 µs | p99 µs | echo p50 µs | echo p99 µs | p50 in echoes |");
    line("|---|---|---|---|---|---|---|");
    let folder = system.state();
    let (socket, endpoint) = (home.socket(), home.endpoint());

    let request = format!("GET {CREDENTIALS}?profile=default HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes();
    let answered = Connection::over(socket.connect().await?).exchange(&request).await?;
    let (_echoing, echo) = Echo::beside(&socket, (request.len(), answered), folder).await?;
    for callers in [1, CALLERS] {
        let way = Way::Client(home.client());
        row("socket, the client of agents", callers, way, Way::Anew(echo.clone(), request.clone()), Some(AIM)).await?;
    }
    for callers in [1, CALLERS] {
        let way = |address: &Address| Way::Kept(address.clone(), request.clone());
        row("socket, one kept connection", callers, way(&socket), way(&echo), Some(AIM)).await?;
    }

    let target = CONTAINER.replace("{role}", RoleName::default().as_str());
    let token = home.endpoint_token()?;
    let request = format!("GET {target} HTTP/1.1\r\nhost: {endpoint}\r\nauthorization: {token}\r\n\r\n").into_bytes();
    let answered = Connection::over(endpoint.connect().await?).exchange(&request).await?;
    let (_echoing, echo) = Echo::beside(&endpoint, (request.len(), answered), folder).await?;
    for callers in [1, CALLERS] {
        let way = |address: &Address| Way::Anew(address.clone(), request.clone());
        row("endpoint, over TCP", callers, way(&endpoint), way(&echo), None).await?;
    }
    line("");
    Ok(())
}

async fn row(name: &str, callers: usize, door: Way, echo: Way, aim: Option<(u32, u32)>) -> anyhow::Result<()> {
    let (door, echo) = tokio::task::spawn_blocking(move || measure(callers, &door, &echo)).await??;
    let [aim_50, aim_99] = match aim {
        Some((p50, p99)) => [p50, p99].map(|aim| format!(" (aim {aim})")),
        None => Default::default(),
    };
    line(&format!(
        "| {name} | {callers} | {:.0}{aim_50} | {:.0}{aim_99} | {:.0} | {:.0} | {:.1} |",
        micros(door.at(0.5)),
        micros(door.at(0.99)),
        micros(echo.at(0.5)),
        micros(echo.at(0.99)),
        door.at(0.5).as_secs_f64() / echo.at(0.5).as_secs_f64(),
    ));
    Ok(())
}

/// Both in turn, so that a machine that has something else to do disturbs both; and the median round of each.
///
/// All callers share one thread, so that the other processors are the server's.
fn measure(callers: usize, door: &Way, echo: &Way) -> anyhow::Result<(Latencies, Latencies)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut doors, mut echoes) = (Vec::new(), Vec::new());
        round(callers, CALLS / 10, door).await?;
        for _ in 0..ROUNDS {
            doors.push(round(callers, CALLS, door).await?);
            echoes.push(round(callers, CALLS, echo).await?);
        }
        Ok((median(doors), median(echoes)))
    })
}

fn median(mut rounds: Vec<Latencies>) -> Latencies {
    rounds.sort_by_key(|round| round.at(0.5));
    rounds.swap_remove(rounds.len() / 2)
}

async fn round(callers: usize, calls: usize, way: &Way) -> anyhow::Result<Latencies> {
    let caller = async || {
        let mut caller = Caller::by(way.clone()).await?;
        let mut latencies = Vec::with_capacity(calls / callers);
        for _ in 0..calls / callers {
            latencies.push(caller.call().await?);
        }
        anyhow::Ok(latencies)
    };
    let latencies = try_join_all((0..callers).map(|_| caller())).await?;
    Latencies::new(latencies.concat())
}

impl Caller {
    async fn by(way: Way) -> anyhow::Result<Self> {
        let kept = match &way {
            Way::Kept(address, _) => Some(Connection::over(address.connect().await?)),
            Way::Anew(..) | Way::Client(_) => None,
        };
        Ok(Self { way, kept })
    }

    async fn call(&mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        match (&self.way, &mut self.kept) {
            (Way::Client(client), _) => drop(client.credentials(&RoleName::default(), None).await?),
            (Way::Kept(_, request), Some(connection)) => drop(connection.exchange(request).await?),
            (Way::Anew(address, request) | Way::Kept(address, request), _) => {
                Connection::over(address.connect().await?).exchange(request).await?;
            }
        }
        Ok(started.elapsed())
    }
}
