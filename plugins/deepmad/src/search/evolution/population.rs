//! The surviving structures.

use nashost_plugin_api::{
    architecture::Spec,
    metric::Direction,
    seed::derive_seed,
    strategy::{HallOfFame, Ranked},
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Member {
    id: u64,
    spec: Spec,
    /// Fingerprint of the spec.
    key: u64,
    value: f64,
}

/// Structures by value, best first, each once; among equals the earlier one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Population {
    direction: Direction,
    limit: usize,
    members: Vec<Member>,
}

/// 64 bits of SHA-256: in a population, the chance of one false duplicate is nil.
fn key(spec: &Spec) -> u64 {
    derive_seed(0, &spec.to_string())
}

impl Population {
    pub(super) fn new(limit: u32) -> Self {
        Self { direction: Direction::Higher, limit: limit as usize, members: Vec::new() }
    }

    pub(super) fn set_direction(&mut self, direction: Direction) {
        self.direction = direction;
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns the proposal that found a member, and its structure.
    pub(super) fn member(&self, index: usize) -> (u64, &Spec) {
        (self.members[index].id, &self.members[index].spec)
    }

    pub(super) fn holds(&self, spec: &Spec) -> bool {
        let key = key(spec);
        self.members.iter().any(|member| member.key == key)
    }

    /// Puts a structure in, and the worst out if there are too many.
    pub(super) fn insert(&mut self, id: u64, spec: Spec, value: f64) {
        if self.holds(&spec) {
            return;
        }
        let direction = self.direction;
        let not_worse = |member: &Member| match direction {
            Direction::Higher => member.value >= value,
            Direction::Lower => member.value <= value,
        };
        let place = self.members.partition_point(not_worse);
        self.members.insert(place, Member { id, key: key(&spec), spec, value });
        self.members.truncate(self.limit);
    }

    /// Answers the members, best first, of which a result needs no more than a hall of fame holds.
    pub(super) fn ranked(&self) -> Vec<Ranked> {
        self.members
            .iter()
            .take(HallOfFame::SIZE)
            .map(|member| Ranked {
                spec: member.spec.clone(),
                value: member.value,
                id: member.id,
                reason: format!("score {:.4}, found by evolution", member.value),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_best_survive_and_each_structure_stands_once() {
        for (direction, expected) in
            [(Direction::Higher, ["c", "a", "d"]), (Direction::Lower, ["e", "b", "a"])]
        {
            let mut population = Population::new(3);
            population.set_direction(direction);
            let found = [("a", 2.0), ("b", 1.0), ("c", 3.0), ("a", 2.0), ("d", 2.0), ("e", 0.0)];
            for (id, (spec, value)) in found.into_iter().enumerate() {
                population.insert(id as u64, json!(spec), value);
            }
            let specs: Vec<Spec> = population.ranked().into_iter().map(|ranked| ranked.spec).collect();
            assert_eq!(specs, expected);
            assert!(population.holds(&json!("a")) && !population.holds(&json!("f")));
        }
    }
}
