//! The document as Markdown. Charts are left out: the tables have their numbers.

use super::document::{Block, Cell, Grid, Row};

pub(crate) fn render(document: &[Block]) -> String {
    let mut text = String::new();
    for block in document {
        match block {
            Block::Title(title) => text += &format!("# {title}\n\n"),
            Block::Chapter(title) => text += &format!("## {title}\n\n"),
            Block::Section(title) => text += &format!("### {title}\n\n"),
            Block::Text(sentence) => text += &format!("{sentence}\n\n"),
            Block::List(items) => {
                items.iter().for_each(|item| text += &format!("- {item}\n"));
                text.push('\n');
            }
            Block::Grid(grid) => text += &render_grid(grid),
            Block::Chart(_) => {}
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn render_grid(grid: &Grid) -> String {
    let titles = grid.head.iter().map(|column| column.title.clone());
    let marks =
        grid.head.iter().map(|column| if column.number { "---:" } else { "---" }.to_owned());
    let mut text = line(titles) + &line(marks);
    for row in &grid.rows {
        text += &match row {
            Row::Cells(cells) => line(cells.iter().map(escaped)),
            Row::Remark(first, remark) => {
                let rest = grid.head.iter().skip(2).map(|_| String::new());
                line([escaped(first), escaped(remark)].into_iter().chain(rest))
            }
        };
    }
    text + "\n"
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.fold("|".to_owned(), |line, cell| line + " " + &cell + " |") + "\n"
}

fn escaped(cell: &Cell) -> String {
    cell.text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::Column;

    #[test]
    fn blocks_become_markdown() {
        let mut grid =
            Grid::new(vec![Column::text("peer"), Column::number("a"), Column::number("b")]);
        grid.rows.push(Row::Cells(vec![Cell::plain("x|y"), Cell::plain("1"), Cell::none()]));
        grid.rows.push(Row::Remark(Cell::plain("z"), Cell::plain("not\nthere")));
        let text = render(&[
            Block::Title("T".into()),
            Block::List(vec!["one".into(), "two".into()]),
            Block::Grid(grid),
        ]);
        assert_eq!(
            text,
            "# T\n\n- one\n- two\n\n| peer | a | b |\n| --- | ---: | ---: |\n| x\\|y | 1 | – |\n\
             | z | not there |  |\n"
        );
    }
}
