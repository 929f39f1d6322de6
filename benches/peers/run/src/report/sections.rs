//! What the report says, section by section.

use super::Occasion;
use super::chart::{Bar, Chart};
use super::document::{Block, Cell, Column, Grid, Row, Tone};
use crate::contest::Contest;
use crate::cores;
use crate::figures::{Figures, Table};
use crate::generator::WARMUP_SECONDS;
use crate::peer::OURS;
use crate::quantity;
use crate::scenario::Scenario;
use crate::spread::Spread;
use crate::target::{Measure, Standing, Verdict};
use crate::workshop::Entrant;

/// Below this share of its cores the server was not the limit of what was measured.
const BUSY: f64 = 0.95;
/// From this load average on the machine had something else to do.
const UNQUIET: f64 = 0.5;

/// The whole report.
pub(crate) fn document(occasion: &Occasion, contest: &Contest, table: &Table) -> Vec<Block> {
    let mut document = vec![Block::Title("Yamabiko and its peers, side by side".to_owned())];
    document.extend(head(occasion, contest));
    document.extend(targets(contest, table));
    document.extend(ratios(contest, table));
    document.extend(two_cores(contest, table));
    document.push(Block::Chapter("Scenarios".to_owned()));
    for scenario in &contest.scenarios {
        document.extend(section(contest, table, scenario));
    }
    document
}

/// How each target of the scenarios that were asked for stands.
pub(crate) fn standings(contest: &Contest, table: &Table) -> Vec<Standing> {
    let targets = |scenario: &&'static Scenario| {
        let scenario: &'static Scenario = scenario;
        scenario.targets.iter().map(move |target| target.stand(scenario, table))
    };
    contest.scenarios.iter().flat_map(targets).collect()
}

fn head(occasion: &Occasion, contest: &Contest) -> Vec<Block> {
    let machine = &occasion.machine;
    let mut facts = Grid::new(vec![Column::text("what"), Column::text("here")]);
    for (what, fact) in [
        ("date", occasion.date.clone()),
        ("command", format!("`{}`", occasion.command)),
        (
            "machine",
            format!(
                "{}, {} cores, {} of memory",
                machine.cpu,
                machine.cores,
                quantity::bytes(machine.memory_bytes as f64)
            ),
        ),
        ("kernel", machine.kernel.clone()),
        ("compiler", machine.rust.clone()),
        ("load average before", load(occasion.load_average)),
        (
            "runs",
            format!(
                "{} rounds, each with every peer once and a fresh server, the order turned by one; {WARMUP_SECONDS} s \
             of warm-up, then {} s measured",
                contest.rounds, contest.seconds
            ),
        ),
        ("cores", placement(contest)),
    ] {
        facts.rows.push(Row::Cells(vec![Cell::plain(what), Cell::plain(fact)]));
    }
    vec![Block::Grid(facts), Block::Grid(peers(contest)), Block::List(reading())]
}

fn load(average: f64) -> String {
    let warning = if average >= UNQUIET { ": the machine was not idle, expect spread" } else { "" };
    format!("{average:.2}{warning}")
}

fn placement(contest: &Contest) -> String {
    let generator = contest.cores.generator();
    let servers = [(1, "servers of one core"), (2, "servers of two")];
    let places = servers.iter().filter_map(|(count, what)| {
        let on = cores::list(contest.cores.server(*count)?);
        let shared = if contest.cores.shared(*count) { ", shared with the generator" } else { "" };
        Some(format!("{what} on {on}{shared}"))
    });
    format!("{}; the generator on {generator}", places.collect::<Vec<_>>().join("; "))
}

fn peers(contest: &Contest) -> Grid {
    let mut grid = Grid::new(vec![
        Column::text("peer"),
        Column::text("what it is"),
        Column::text("version"),
        Column::text("state"),
    ]);
    for entrant in &contest.entrants {
        let state = match &entrant.launch {
            Ok(_) => Cell::plain("available"),
            Err(why) => Cell::new(format!("not available: {why}"), Tone::Bad),
        };
        grid.rows.push(Row::Cells(vec![
            name(entrant),
            Cell::plain(entrant.peer.what),
            Cell::plain(entrant.version.clone()),
            state,
        ]));
    }
    grid
}

fn reading() -> Vec<String> {
    [
        "The main figure is the CPU the server needed: seconds per million messages, and its inverse, messages \
         per server CPU-second. It does not depend on how fast the generator is. CPU is that of all threads of \
         the server and its descendants, user and kernel.",
        "Numbers are medians of the runs that count, with the least and the most in parentheses.",
        "A run in which a message was lost or doubled, or in which there was an error, is void: it is shown with \
         its counts and enters no number.",
        "‡ marks a peer that answered messages in another order than they were sent.",
        "Where the server kept its cores less than 95 % busy, the generator or the scenario was the limit. That \
         bounds the wall rate, not the CPU per message.",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn targets(contest: &Contest, table: &Table) -> Vec<Block> {
    let mut grid = Grid::new(vec![
        Column::text("scenario"),
        Column::text("what"),
        Column::number("target"),
        Column::number("measured"),
        Column::text("verdict"),
    ]);
    for standing in standings(contest, table) {
        let (verdict, tone) = match standing.verdict {
            Verdict::Met => ("met".to_owned(), Tone::Good),
            Verdict::Missed(None) => ("missed".to_owned(), Tone::Bad),
            Verdict::Missed(Some(why)) => (format!("missed: {why}"), Tone::Bad),
            Verdict::Unmeasured(why) => (format!("not measured: {why}"), Tone::Dim),
        };
        grid.rows.push(Row::Cells(vec![
            Cell::plain(standing.scenario),
            Cell::plain(standing.what),
            Cell::plain(standing.bound),
            standing.measured.map_or_else(Cell::none, Cell::plain),
            Cell::new(verdict, tone),
        ]));
    }
    match grid.rows.is_empty() {
        true => Vec::new(),
        false => vec![Block::Chapter("Targets of Yamabiko".to_owned()), Block::Grid(grid)],
    }
}

/// What is compared: how it is called, how it is found, how it is written, and whether less is better.
struct Comparison {
    suffix: &'static str,
    figure: fn(&Figures) -> Option<Spread>,
    unit: fn(f64) -> String,
    less_is_better: bool,
}

const RATE: Comparison = Comparison {
    suffix: "",
    figure: |figures| figures.messages_per_cpu_second,
    unit: quantity::rate,
    less_is_better: false,
};
const MEMORY: Comparison = Comparison {
    suffix: ", RSS",
    figure: |figures| figures.rss_per_connection,
    unit: quantity::bytes,
    less_is_better: true,
};
const IDLE_CPU: Comparison = Comparison {
    suffix: ", CPU",
    figure: |figures| figures.idle_cpu_us,
    unit: quantity::micros,
    less_is_better: true,
};

fn comparisons(scenario: &Scenario) -> &'static [Comparison] {
    if scenario.is_idle() { &[MEMORY, IDLE_CPU] } else { &[RATE] }
}

fn ratios(contest: &Contest, table: &Table) -> Vec<Block> {
    let others: Vec<&Entrant> =
        contest.entrants.iter().filter(|entrant| entrant.peer.name != OURS).collect();
    if others.is_empty() || others.len() == contest.entrants.len() {
        return Vec::new();
    }
    let mut head = vec![Column::text("scenario"), Column::number(OURS)];
    head.extend(others.iter().map(|entrant| Column::number(entrant.peer.name)));
    let mut grid = Grid::new(head);
    for scenario in &contest.scenarios {
        for comparison in comparisons(scenario) {
            let ours = table.of(scenario.name, OURS).and_then(comparison.figure);
            let mut cells = vec![
                Cell::plain(format!("{}{}", scenario.name, comparison.suffix)),
                ours.map_or_else(Cell::none, |ours| {
                    Cell::new((comparison.unit)(ours.median), Tone::Ours)
                }),
            ];
            cells
                .extend(others.iter().map(|other| ratio(table, scenario, comparison, ours, other)));
            grid.rows.push(Row::Cells(cells));
        }
    }
    vec![
        Block::Chapter("Yamabiko against each".to_owned()),
        Block::Text(
            "How many times more messages Yamabiko gets out of a CPU-second, and how many times less memory and \
             CPU an idle connection takes. Above 1× Yamabiko is better."
                .to_owned(),
        ),
        Block::Grid(grid),
    ]
}

fn ratio(
    table: &Table,
    scenario: &Scenario,
    comparison: &Comparison,
    ours: Option<Spread>,
    other: &Entrant,
) -> Cell {
    if !scenario.peers.contains(&other.peer.name) {
        return Cell::none();
    }
    let Some(figures) = table.of(scenario.name, other.peer.name) else {
        let state = if other.launch.is_err() { "not available" } else { "not run" };
        return Cell::new(state, Tone::Dim);
    };
    let Some(theirs) = (comparison.figure)(figures) else {
        return Cell::new(if figures.void > 0 { "void" } else { "failed" }, Tone::Bad);
    };
    let Some(ours) = ours else { return Cell::none() };
    let times = match comparison.less_is_better {
        true => theirs.median / ours.median,
        false => ours.median / theirs.median,
    };
    if !times.is_finite() || times < 0.0 {
        return Cell::none();
    }
    let order = if figures.out_of_order > 0 { " ‡" } else { "" };
    let tone = if times >= 1.0 { Tone::Good } else { Tone::Plain };
    Cell::new(format!("{}{order}", quantity::times(times)), tone)
}

fn two_cores(contest: &Contest, table: &Table) -> Vec<Block> {
    let mut grid = Grid::new(vec![
        Column::text("peer"),
        Column::text("scenario"),
        Column::number("CPU per million on one core"),
        Column::number("on two"),
        Column::number("two against one"),
    ]);
    for scenario in &contest.scenarios {
        let Some(one_core) = scenario.on_one_core else { continue };
        for place in contest.taking_part(scenario) {
            let entrant = &contest.entrants[place];
            let cost = |scenario, peer| {
                table.of(scenario, peer).and_then(|figures| figures.cpu_per_million)
            };
            let text = |spread: Option<Spread>| {
                spread
                    .map_or_else(Cell::none, |spread| Cell::plain(quantity::seconds(spread.median)))
            };
            let base = entrant.peer.one_core_peer();
            let base_name = if base == entrant.peer.name { "" } else { " (node)" };
            let mut one = text(cost(one_core, base));
            one.text += base_name;
            let against = table.two_cores_against_one(scenario, entrant.peer.name);
            grid.rows.push(Row::Cells(vec![
                name(entrant),
                Cell::plain(scenario.name),
                one,
                text(cost(scenario.name, entrant.peer.name)),
                against.map_or_else(|_| Cell::none(), |times| Cell::plain(quantity::times(times))),
            ]));
        }
    }
    if grid.rows.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Chapter("Two cores against one".to_owned()),
        Block::Text(
            "What a message costs when the server has two cores, against the same load on one. 1× is perfect \
             scaling. The cluster always has two workers and is held against node. The floor shares no rooms \
             between its threads, so it takes no part in the fan-out."
                .to_owned(),
        ),
    ];
    blocks.extend(sharing(contest, 2).map(Block::Text));
    blocks.push(Block::Grid(grid));
    blocks
}

/// What to think of runs in which the generator has no core of its own.
fn sharing(contest: &Contest, count: usize) -> Option<String> {
    contest.cores.shared(count).then(|| {
        format!(
            "The generator shared core {} with the server: it was the limit of wall rate, latency and use, and by \
             driving the server's data out of the cache it makes a message a little dearer.",
            contest.cores.generator()
        )
    })
}

fn section(contest: &Contest, table: &Table, scenario: &'static Scenario) -> Vec<Block> {
    let mut blocks = vec![
        Block::Section(scenario.name.to_owned()),
        Block::Text(format!(
            "{}. Generator: `{} --connections {} --outstanding {} --payload {} --rooms {} --seconds {}`.",
            capital(scenario.what),
            scenario.load.word(),
            scenario.connections,
            scenario.outstanding,
            scenario.payload,
            scenario.rooms,
            scenario.seconds(contest.seconds)
        )),
    ];
    if let Some(why) = contest.impossible.get(scenario.name) {
        blocks.push(Block::Text(format!("Not run on this machine: {why}.")));
        return blocks;
    }
    blocks.extend(sharing(contest, scenario.cores).map(Block::Text));
    blocks.extend(charts(contest, table, scenario).into_iter().map(Block::Chart));
    blocks.push(Block::Grid(figures(contest, table, scenario)));
    blocks
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn charts(contest: &Contest, table: &Table, scenario: &'static Scenario) -> Vec<Chart> {
    let target = |measure| {
        scenario.targets.iter().find(|target| target.measure == measure).map(|target| target.bound)
    };
    let chart = |comparison: &Comparison, title: String, measure| Chart {
        title,
        unit: comparison.unit,
        bars: bars(contest, table, scenario, comparison),
        target: target(measure),
    };
    if scenario.is_idle() {
        return vec![
            chart(&MEMORY, "RSS per idle connection, less is better".to_owned(), Measure::Memory),
            chart(
                &IDLE_CPU,
                "CPU per idle connection and second, less is better".to_owned(),
                Measure::IdleCpu,
            ),
        ];
    }
    let title = format!("{} per server CPU-second, more is better", capital(scenario.load.unit()));
    vec![chart(&RATE, title, Measure::Rate)]
}

fn bars(
    contest: &Contest,
    table: &Table,
    scenario: &'static Scenario,
    comparison: &Comparison,
) -> Vec<Bar> {
    let bar = |place: usize| {
        let entrant = &contest.entrants[place];
        let figures = table.of(scenario.name, entrant.peer.name);
        let value = figures.and_then(comparison.figure).ok_or_else(|| absence(entrant, figures));
        let disordered = figures.is_some_and(|figures| figures.out_of_order > 0);
        let order = if disordered { " ‡" } else { "" };
        Bar {
            label: format!("{}{order}", entrant.peer.name),
            ours: entrant.peer.name == OURS,
            value,
        }
    };
    contest.taking_part(scenario).into_iter().map(bar).collect()
}

/// Why a peer has no figure in a scenario.
fn absence(entrant: &Entrant, figures: Option<&Figures>) -> String {
    match (figures, &entrant.launch) {
        (Some(figures), _) => figures.absence(),
        (None, Err(why)) => format!("not available: {why}"),
        (None, Ok(_)) => "not run".to_owned(),
    }
}

fn figures(contest: &Contest, table: &Table, scenario: &'static Scenario) -> Grid {
    let titles: &[&str] = match scenario.is_idle() {
        true => &["RSS per connection", "CPU per connection and second"],
        false => &["CPU per million", "per CPU-second", "wall rate", "p50", "p99"],
    };
    let mut head = vec![Column::text("peer")];
    head.extend(titles.iter().map(|title| Column::number(title)));
    head.extend([Column::number("server"), Column::number("generator"), Column::text("remarks")]);
    let mut grid = Grid::new(head);
    for place in contest.taking_part(scenario) {
        let entrant = &contest.entrants[place];
        let row = match table.of(scenario.name, entrant.peer.name) {
            Some(figures) if figures.valid > 0 => Row::Cells(cells(scenario, entrant, figures)),
            figures => {
                let tone = if figures.is_some() { Tone::Bad } else { Tone::Dim };
                Row::Remark(name(entrant), Cell::new(absence(entrant, figures), tone))
            }
        };
        grid.rows.push(row);
    }
    grid
}

fn cells(scenario: &Scenario, entrant: &Entrant, figures: &Figures) -> Vec<Cell> {
    let tone = name(entrant).tone;
    let cell = |spread: Option<Spread>, unit: fn(f64) -> String| {
        spread.map_or_else(Cell::none, |spread| Cell::new(with_range(&spread, unit), tone))
    };
    let median = |spread: Option<Spread>, unit: fn(f64) -> String| {
        spread.map_or_else(Cell::none, |spread| Cell::plain(unit(spread.median)))
    };
    let mut cells = vec![name(entrant)];
    if scenario.is_idle() {
        cells.push(cell(figures.rss_per_connection, quantity::bytes));
        cells.push(cell(figures.idle_cpu_us, quantity::micros));
    } else {
        cells.push(cell(figures.cpu_per_million, quantity::seconds));
        cells.push(cell(figures.messages_per_cpu_second, quantity::rate));
        cells.push(median(figures.wall_rate, |rate| format!("{}/s", quantity::rate(rate))));
        cells.push(median(figures.p50_us, quantity::micros));
        cells.push(median(figures.p99_us, quantity::micros));
    }
    cells.push(median(figures.server_use, quantity::percent));
    cells.push(median(figures.generator_use, quantity::percent));
    cells.push(Cell::plain(remarks(scenario, figures)));
    cells
}

fn with_range(spread: &Spread, unit: fn(f64) -> String) -> String {
    let (median, min, max) = (unit(spread.median), unit(spread.min), unit(spread.max));
    if spread.count == 1 {
        return median;
    }
    format!("{median} ({min}–{max})")
}

fn remarks(scenario: &Scenario, figures: &Figures) -> String {
    let mut remarks = Vec::new();
    if figures.out_of_order > 0 {
        remarks.push(format!("‡ {} out of order", figures.out_of_order));
    }
    let busy = figures.server_use.is_none_or(|server_use| server_use.median >= BUSY);
    if !scenario.is_idle() && !busy {
        remarks.push("the server was not the limit".to_owned());
    }
    if figures.void + figures.failed > 0 {
        remarks.push(figures.faults());
    }
    remarks.join("; ")
}

fn name(entrant: &Entrant) -> Cell {
    let tone = if entrant.peer.name == OURS { Tone::Ours } else { Tone::Plain };
    Cell::new(entrant.peer.name, tone)
}
