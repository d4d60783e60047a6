//! How the search went, and what the score has to do with size.

use maud::{Markup, html};

use super::{Section, count};
use crate::{
    data::{ReportData, Run, Search},
    number,
    plot::{self, Axis, Plot, extent, look},
    table::{Cell, Table},
};

pub(super) fn section(data: &ReportData) -> Option<Section> {
    let searches: Vec<(&Run, &Search)> =
        data.runs.iter().filter_map(|run| Some((run, run.search.as_ref()?))).collect();
    (!searches.is_empty()).then(|| Section {
        id: "search",
        title: "Search",
        lead: "The search proposes structures and scores them. The best one is trained; the score itself is no \
               result."
            .to_owned(),
        body: html! { @for (run, search) in &searches {
            @if searches.len() > 1 { h3 { (run.name) " (run " (run.id) ")" } }
            @if !search.uses_data {
                p.warning { "Neither strategy nor score looks at an image: with the same limits, every dataset of this "
                    "image size and number of labels gets the same structure." }
            }
            (facts(search))
            @if !search.phases.is_empty() { (work(run, search)) }
            div.figures {
                @if !search.values.is_empty() { (progress(search)) }
                @if search.costs.iter().any(Option::is_some) { (proxy(search)) }
            }
        } },
    })
}

fn facts(search: &Search) -> Markup {
    let scored = search.values.iter().flatten().count() as u64;
    let list = |facts: Vec<String>| if facts.is_empty() { "none".to_owned() } else { facts.join(", ") };
    let limits =
        search.budgets.iter().map(|(name, most)| format!("{name} ≤ {}", number::scaled(*most))).collect();
    let rejected =
        search.rejected.iter().map(|(name, n)| format!("{} by {name}", number::grouped(*n))).collect();
    html! {
        dl {
            dt { "Strategy" } dd { (search.strategy) ", in the space " (search.space) }
            dt { "Score" } dd { (search.metric) ", " (if search.higher_is_better { "larger" } else { "smaller" }) " is better" }
            @if search.phases.is_empty() { dt { "Candidates" } dd { (count(scored, "scored structure")) } }
            dt { "Limits" } dd { (list(limits)) }
            dt { "Rejected" } dd { (list(rejected)) }
            @if !search.reason.is_empty() { dt { "Chosen because" } dd { (search.reason) } }
        }
    }
}

/// What the steps of a one-shot search took.
fn work(run: &Run, search: &Search) -> Markup {
    let parts: Vec<(&str, f64)> =
        search.phases.iter().map(|phase| (phase.name.as_str(), phase.seconds)).collect();
    html! {
        (table_of([(run, search)]).markup())
        @if !search.counts.is_empty() {
            dl { @for count in &search.counts {
                dt { (number::heading(&count.name)) } dd { (number::grouped(count.count)) }
            } }
        }
        (plot::key(parts.iter().enumerate().map(|(index, (name, _))| (look(index), *name))))
        div.figures { (plot::stacked(&format!("Time of the search of run {}", run.id), &parts, &html! {})) }
    }
}

pub(super) fn table(data: &ReportData) -> Table {
    table_of(data.runs.iter().filter_map(|run| Some((run, run.search.as_ref()?))))
}

fn table_of<'a>(searches: impl IntoIterator<Item = (&'a Run, &'a Search)>) -> Table {
    let mut table = Table::new("search-work", "Work of the search, by kind of step", "")
        .text_column("Run")
        .text_column("Step")
        .column("Steps")
        .column("Time (s)")
        .column("Share of the time");
    for (run, search) in searches {
        let sum: f64 = search.phases.iter().map(|phase| phase.seconds).sum();
        for phase in &search.phases {
            table.row([
                Cell::Text(run.id.clone()),
                Cell::Text(phase.name.clone()),
                Cell::Count(phase.steps),
                Cell::Number(phase.seconds, 1),
                Cell::number((sum > 0.0).then(|| phase.seconds / sum), 3),
            ]);
        }
    }
    table
}

fn progress(search: &Search) -> Markup {
    let points: Vec<(f64, f64)> =
        search.values.iter().enumerate().filter_map(|(index, v)| Some((index as f64 + 1.0, (*v)?))).collect();
    let mut plot = Plot::new(
        "Score by candidate",
        "Score of each candidate in the order of the search, with the best so far as a line.",
        Axis::whole("candidate", 1.0, search.values.len() as f64),
        Axis::around(search.metric.as_str(), points.iter().map(|point| point.1)),
    );
    plot.dots("base", &points, |index| {
        let (candidate, value) = points[index];
        format!("candidate {candidate}: {}", number::fixed(value, 4))
    });
    plot.line("s0", &best_so_far(&points, search), "best so far");
    mark(&mut plot, search, |index, value| Some((index as f64 + 1.0, value)));
    if points.is_empty() {
        plot.message("no candidate has a score");
    }
    plot.figure(&html! { "Grey: one dot per candidate. Line: the best so far." (star_note(search)) })
}

/// The best value so far, as steps.
fn best_so_far(points: &[(f64, f64)], search: &Search) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::new();
    for &(x, value) in points {
        match line.last() {
            Some(&(_, best)) if (value > best) != search.higher_is_better || value == best => {}
            Some(&(_, best)) => line.extend([(x, best), (x, value)]),
            None => line.push((x, value)),
        }
    }
    if let Some(&(_, best)) = line.last() {
        line.push((search.values.len() as f64, best));
    }
    line
}

fn proxy(search: &Search) -> Markup {
    let pairs = search.values.iter().zip(&search.costs);
    let points: Vec<(f64, f64)> = pairs.filter_map(|(value, cost)| Some(((*cost)?, (*value)?))).collect();
    let costs = || points.iter().map(|point| point.0);
    let axis = match extent(costs()) {
        Some((low, high)) if low > 0.0 => Axis::log(search.cost.as_str(), low * 0.97, high * 1.03),
        _ => Axis::around(search.cost.as_str(), costs()),
    };
    let values = points.iter().map(|point| point.1);
    let mut plot = Plot::new(
        "Score against size",
        "Score of each candidate against what it costs.",
        axis,
        Axis::around(search.metric.as_str(), values),
    );
    plot.dots("s0", &points, |index| {
        let (cost, value) = points[index];
        format!("{} {}: {}", search.cost, number::scaled(cost), number::fixed(value, 4))
    });
    mark(&mut plot, search, |index, value| Some((search.costs.get(index).copied().flatten()?, value)));
    plot.figure(&html! {
        "A cloud that rises to the right: the score mostly measures size. Compare methods at equal size." (star_note(search))
    })
}

fn star_note(search: &Search) -> &'static str {
    if chosen(search).is_some() { " Star: the structure that was chosen." } else { "" }
}

fn chosen(search: &Search) -> Option<(usize, f64)> {
    let index = search.chosen?;
    Some((index, search.values.get(index).copied().flatten()?))
}

fn mark(plot: &mut Plot, search: &Search, place: impl Fn(usize, f64) -> Option<(f64, f64)>) {
    if let Some((x, y)) = chosen(search).and_then(|(index, value)| place(index, value)) {
        plot.star(x, y, "chosen");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_so_far_only_gets_better() {
        let points = [(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0)];
        let higher = Search { higher_is_better: true, values: vec![None; 4], ..Search::default() };
        assert_eq!(best_so_far(&points, &higher), [(1.0, 2.0), (3.0, 2.0), (3.0, 4.0), (4.0, 4.0)]);
        let lower = Search { higher_is_better: false, ..higher };
        assert_eq!(best_so_far(&points, &lower), [(1.0, 2.0), (2.0, 2.0), (2.0, 1.0), (4.0, 1.0)]);
        assert_eq!(best_so_far(&[], &lower), []);
    }
}
