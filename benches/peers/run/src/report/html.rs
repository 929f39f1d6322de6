//! The document as one HTML file: no scripts, nothing from elsewhere, readable in light and dark.

use super::chart;
use super::document::{Block, Cell, Grid, Row, Tone};

const STYLE: &str = "\
:root{--ground:#fff;--ink:#1c1f23;--dim:#6a7178;--line:#dde1e5;--ours:#c2410c;--other:#8aa0b6;\
--good:#15803d;--bad:#b91c1c;--mark:#1c1f23}\
@media (prefers-color-scheme:dark){:root{--ground:#15181c;--ink:#e6e8ea;--dim:#969da5;--line:#333940;\
--ours:#fb923c;--other:#5f7a94;--good:#4ade80;--bad:#f87171;--mark:#e6e8ea}}\
body{background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:72rem;\
margin:2rem auto;padding:0 1rem}\
h1{font-size:1.7rem}h2{font-size:1.3rem;margin-top:2.5rem}h3{font-size:1.05rem;margin-top:2rem}\
.wide{overflow-x:auto}\
table{border-collapse:collapse;font-size:.87rem;margin:.7rem 0}\
th,td{text-align:left;padding:.25rem .7rem;border-bottom:1px solid var(--line);vertical-align:top}\
th{color:var(--dim);font-weight:600}\
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
.ours{color:var(--ours);font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}\
.dim{color:var(--dim)}\
code{font-size:.9em;overflow-wrap:anywhere}\
svg{display:block;width:100%;max-width:52rem;height:auto;margin:.7rem 0}\
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .dim{fill:var(--dim)}\
svg .title{font-weight:600}\
svg .bar{fill:var(--other)}svg .bar.ours{fill:var(--ours)}\
svg .grid{stroke:var(--line)}svg .spread{stroke:var(--mark);stroke-width:1.5}\
svg .target{stroke:var(--good);stroke-width:1.5;stroke-dasharray:5 3}svg .goal{fill:var(--good)}";

pub(crate) fn render(document: &[Block]) -> String {
    let title = document.iter().find_map(|block| match block {
        Block::Title(title) => Some(escaped(title)),
        _ => None,
    });
    let body: String = document.iter().map(block).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        title.unwrap_or_default()
    )
}

fn block(block: &Block) -> String {
    match block {
        Block::Title(title) => format!("<h1>{}</h1>\n", inline(title)),
        Block::Chapter(title) => format!("<h2>{}</h2>\n", inline(title)),
        Block::Section(title) => format!("<h3>{}</h3>\n", inline(title)),
        Block::Text(text) => format!("<p>{}</p>\n", inline(text)),
        Block::List(items) => {
            let items: String =
                items.iter().map(|item| format!("<li>{}</li>\n", inline(item))).collect();
            format!("<ul>\n{items}</ul>\n")
        }
        Block::Grid(grid) => render_grid(grid),
        Block::Chart(chart) => chart::render(chart),
    }
}

fn render_grid(grid: &Grid) -> String {
    let head: String = grid
        .head
        .iter()
        .map(|column| {
            format!("<th{}>{}</th>", class(column.number, Tone::Plain), inline(&column.title))
        })
        .collect();
    let rows: String = grid.rows.iter().map(|row| render_row(grid, row)).collect();
    format!("<div class=\"wide\"><table>\n<tr>{head}</tr>\n{rows}</table></div>\n")
}

fn render_row(grid: &Grid, row: &Row) -> String {
    let cells: String = match row {
        Row::Cells(cells) => grid
            .head
            .iter()
            .zip(cells)
            .map(|(column, cell)| render_cell(column.number, cell))
            .collect(),
        Row::Remark(first, remark) => format!(
            "{}<td colspan=\"{}\"{}>{}</td>",
            render_cell(false, first),
            grid.head.len().saturating_sub(1),
            class(false, remark.tone),
            inline(&remark.text)
        ),
    };
    format!("<tr>{cells}</tr>\n")
}

fn render_cell(number: bool, cell: &Cell) -> String {
    format!("<td{}>{}</td>", class(number, cell.tone), inline(&cell.text))
}

fn class(number: bool, tone: Tone) -> String {
    let tone = match tone {
        Tone::Plain => "",
        Tone::Ours => "ours",
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Dim => "dim",
    };
    match (number, tone) {
        (false, "") => String::new(),
        (true, "") => " class=\"number\"".to_owned(),
        (false, tone) => format!(" class=\"{tone}\""),
        (true, tone) => format!(" class=\"number {tone}\""),
    }
}

/// Escapes, and makes code of what stands between two backticks.
fn inline(text: &str) -> String {
    let mut html = String::new();
    let mut parts = text.split('`').peekable();
    let mut code = false;
    while let Some(part) = parts.next() {
        // A backtick without a partner is itself.
        match (code, parts.peek().is_some()) {
            (true, true) => html += &format!("<code>{}</code>", escaped(part)),
            (true, false) => html += &format!("`{}", escaped(part)),
            (false, _) => html += &escaped(part),
        }
        code = !code;
    }
    html
}

/// Text as HTML and SVG may hold it, in elements and in attributes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::Column;

    #[test]
    fn code_and_markup_are_kept_apart() {
        assert_eq!(inline("a `b<c` & d"), "a <code>b&lt;c</code> &amp; d");
        assert_eq!(inline("one ` alone"), "one ` alone");
    }

    #[test]
    fn a_remark_spans_the_row() {
        let mut grid =
            Grid::new(vec![Column::text("peer"), Column::number("a"), Column::number("b")]);
        grid.rows.push(Row::Remark(Cell::plain("z"), Cell::new("not there", Tone::Dim)));
        assert!(
            render_grid(&grid)
                .contains("<tr><td>z</td><td colspan=\"2\" class=\"dim\">not there</td></tr>")
        );
    }
}
