//! The report's text, apart from how it is written down.

use super::chart::Chart;

/// A part of the document, in order. Text may hold `code` between backticks.
pub(crate) enum Block {
    /// The title of everything; the first block.
    Title(String),
    /// The title of a chapter.
    Chapter(String),
    /// The title of a section within one.
    Section(String),
    Text(String),
    List(Vec<String>),
    Grid(Grid),
    /// Left out where nothing can be drawn; a grid beside it has its numbers.
    Chart(Chart),
}

/// A table.
pub(crate) struct Grid {
    pub(crate) head: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

/// A column: its title, and whether it holds numbers.
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) number: bool,
}

/// A row of a table.
pub(crate) enum Row {
    Cells(Vec<Cell>),
    /// The first cell, and one sentence in place of all others.
    Remark(Cell, Cell),
}

/// A cell.
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// What a cell is worth looking at for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Ours,
    Good,
    Bad,
    Dim,
}

impl Grid {
    pub(crate) fn new(head: Vec<Column>) -> Self {
        Self { head, rows: Vec::new() }
    }
}

impl Column {
    pub(crate) fn text(title: &str) -> Self {
        Self { title: title.to_owned(), number: false }
    }

    pub(crate) fn number(title: &str) -> Self {
        Self { title: title.to_owned(), number: true }
    }
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Tone::Plain)
    }

    /// What is not there.
    pub(crate) fn none() -> Self {
        Self::new("–", Tone::Dim)
    }
}
