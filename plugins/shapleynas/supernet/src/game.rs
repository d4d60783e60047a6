//! Cooperative games.

/// A game whose players are numbered from 0.
pub trait Game {
    /// What can go wrong.
    type Error;

    /// Returns the number of players.
    fn players(&self) -> usize;

    /// Returns the worth of the coalition of the players that are `present`.
    ///
    /// # Errors
    ///
    /// Fails if the game has no value there.
    fn value(&mut self, present: &[bool]) -> Result<f64, Self::Error>;

    /// Returns the worth of the coalition and its derivative by each player's presence, where presence
    /// is a factor between 0 and 1.
    ///
    /// # Errors
    ///
    /// Fails if the game has no value or no derivative there.
    fn gradient(&mut self, present: &[bool]) -> Result<(f64, Vec<f64>), Self::Error>;
}

/// A game given by the worth of every coalition; bit `i` of the index is player `i`.
///
/// Between coalitions its worth is multilinear, so derivatives are marginal contributions.
#[derive(Debug, Clone, PartialEq)]
pub struct TableGame(Vec<f64>);

impl TableGame {
    /// Returns a game of `log2` of so many players; `None` unless that is whole.
    pub fn new(values: Vec<f64>) -> Option<Self> {
        values.len().is_power_of_two().then_some(Self(values))
    }

    fn index(present: &[bool]) -> usize {
        present.iter().enumerate().map(|(player, &present)| usize::from(present) << player).sum()
    }
}

impl Game for TableGame {
    type Error = std::convert::Infallible;

    fn players(&self) -> usize {
        self.0.len().trailing_zeros() as usize
    }

    fn value(&mut self, present: &[bool]) -> Result<f64, Self::Error> {
        Ok(self.0[Self::index(present)])
    }

    fn gradient(&mut self, present: &[bool]) -> Result<(f64, Vec<f64>), Self::Error> {
        let index = Self::index(present);
        let marginal = |player: usize| self.0[index | 1 << player] - self.0[index & !(1 << player)];
        Ok((self.0[index], (0..present.len()).map(marginal).collect()))
    }
}
