//! What happens next. Events of one time come out in the order in which they were put in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::virtual_clock::Time;

/// The queue. Events stay where they were put and small keys are sorted: a message is not moved about.
#[derive(Debug)]
pub struct EventQueue<E> {
    keys: BinaryHeap<Reverse<(Time, u64, u32)>>,
    events: Vec<Option<E>>,
    free: Vec<u32>,
    next: u64,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self { keys: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), next: 0 }
    }
}

impl<E> EventQueue<E> {
    /// Puts in an event.
    pub fn push(&mut self, at: Time, event: E) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            // Four thousand million events at once would not fit into memory.
            u32::try_from(self.events.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.events.get_mut(slot_index(slot)) {
            *place = Some(event);
        }
        self.keys.push(Reverse((at, self.next, slot)));
        self.next += 1;
    }

    /// Takes out the next event.
    pub fn pop(&mut self) -> Option<(Time, E)> {
        let Reverse((at, _number, slot)) = self.keys.pop()?;
        let event = self.events.get_mut(slot_index(slot)).and_then(Option::take)?;
        self.free.push(slot);
        Some((at, event))
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn slot_index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::EventQueue;
    use crate::world::virtual_clock::Time;

    #[test]
    fn by_time_then_by_order() {
        let mut queue = EventQueue::default();
        for (at, name) in [(5, "c"), (1, "a"), (5, "d"), (2, "b")] {
            queue.push(Time(at), name);
        }
        let drained: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_at, name)| name).collect();
        assert_eq!(drained, ["a", "b", "c", "d"]);
        queue.push(Time(1), "e");
        assert_eq!((queue.len(), queue.pop()), (1, Some((Time(1), "e"))));
        assert!(queue.is_empty());
    }
}
