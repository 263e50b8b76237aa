//! Memory for one decision. The host answers each decision with a fresh instance and throws it away, so
//! freeing is wasted work: blocks are handed out one after the other, and only the last one is taken back
//! or grown where it stands, which is what a `String` that is being written needs.

/// The part of memory that is not handed out yet, as addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(any(test, target_arch = "wasm32")), allow(dead_code, reason = "only the sandbox allocates here"))]
struct Room {
    next: usize,
    end: usize,
}

#[cfg_attr(not(any(test, target_arch = "wasm32")), allow(dead_code, reason = "only the sandbox allocates here"))]
impl Room {
    /// The address of a new block. `grow` is asked for room for so many bytes when there is too little.
    fn take(&mut self, size: usize, align: usize, grow: impl FnOnce(usize) -> Option<Room>) -> Option<usize> {
        if let Some((start, next)) = self.fit(size, align) {
            self.next = next;
            return Some(start);
        }
        let more = grow(size.checked_add(align)?)?;
        // Whoever else grew memory in between owns what lies between our end and the new room.
        let next = if more.next == self.end { self.next } else { more.next };
        *self = Room { next, end: more.end };
        let (start, next) = self.fit(size, align)?;
        self.next = next;
        Some(start)
    }

    fn fit(&self, size: usize, align: usize) -> Option<(usize, usize)> {
        let start = self.next.checked_next_multiple_of(align)?;
        let next = start.checked_add(size)?;
        (next <= self.end).then_some((start, next))
    }

    fn is_last(&self, block: usize, size: usize) -> bool {
        block.checked_add(size) == Some(self.next)
    }
}

#[cfg(target_arch = "wasm32")]
pub use sandbox::Bump;

#[cfg(target_arch = "wasm32")]
mod sandbox {
    use super::Room;
    use core::alloc::{GlobalAlloc, Layout};
    use core::arch::wasm32::{memory_grow, memory_size};
    use core::cell::UnsafeCell;

    const PAGE: usize = 64 * 1024;
    /// Each growth is a call to the host: four pages hold the request of a usual decision.
    const STEP: usize = 4;

    unsafe extern "C" {
        /// Where the linker's data ends.
        static __heap_base: u8;
    }

    /// The allocator of a policy; `export_scale_up!` and its siblings install it.
    #[derive(Debug)]
    pub struct Bump(UnsafeCell<Option<Room>>);

    // SAFETY: the target has no threads.
    unsafe impl Sync for Bump {}

    impl Bump {
        /// Begins where the linker's data ends.
        #[must_use]
        pub const fn after_linked_data() -> Self {
            Bump(UnsafeCell::new(None))
        }

        /// # Safety
        /// The result must be dropped before the next call.
        #[allow(clippy::mut_from_ref, reason = "the target has no threads and no call here re-enters")]
        unsafe fn room(&self) -> &mut Room {
            // SAFETY: as the caller promises; `__heap_base` is only ever used as an address.
            unsafe {
                (*self.0.get())
                    .get_or_insert_with(|| Room { next: &raw const __heap_base as usize, end: memory_size(0) * PAGE })
            }
        }
    }

    fn grow(bytes: usize) -> Option<Room> {
        let needed = bytes.div_ceil(PAGE);
        // Near the host's limit the exact amount may still be granted.
        [needed.max(STEP), needed].into_iter().find_map(|pages| {
            let before = memory_grow(0, pages);
            (before != usize::MAX).then(|| Room { next: before * PAGE, end: (before + pages) * PAGE })
        })
    }

    // SAFETY: blocks are disjoint, aligned as asked for, and inside memory that this module grew or that the
    // linker left free.
    unsafe impl GlobalAlloc for Bump {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: dropped at the end of this expression.
            let block = unsafe { self.room() }.take(layout.size(), layout.align(), grow);
            block.map_or(core::ptr::null_mut(), |at| at as *mut u8)
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: dropped at the end of this function.
            let room = unsafe { self.room() };
            if room.is_last(block as usize, layout.size()) {
                room.next = block as usize;
            }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: dropped before `alloc` below.
            let room = unsafe { self.room() };
            if room.is_last(block as usize, layout.size()) {
                let before = room.next;
                room.next = block as usize;
                if room.take(size, layout.align(), grow) == Some(block as usize) {
                    return block;
                }
                // The room went elsewhere, or there is none: the old block stays valid, as the contract asks.
                room.next = room.next.max(before);
            }
            if size <= layout.size() {
                return block;
            }
            // SAFETY: the caller's layout has a valid alignment; the new block is larger than the old one.
            unsafe {
                let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                if !new.is_null() {
                    core::ptr::copy_nonoverlapping(block, new, layout.size());
                }
                new
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    fn refuse(_: usize) -> Option<Room> {
        None
    }

    #[test]
    fn blocks_are_aligned_and_follow_each_other() {
        let mut room = Room { next: 3, end: 64 };
        assert_eq!(room.take(5, 1, refuse), Some(3));
        assert_eq!(room.take(8, 8, refuse), Some(8));
        assert_eq!(room.take(1, 1, refuse), Some(16));
        assert_eq!(room.next, 17);
    }

    #[test]
    fn growth_continues_where_the_room_ended() {
        let mut room = Room { next: 10, end: 16 };
        let block = room.take(20, 4, |bytes| (bytes >= 20).then_some(Room { next: 16, end: 80 }));
        assert_eq!(block, Some(12));
        assert_eq!(room, Room { next: 32, end: 80 });
    }

    #[test]
    fn growth_elsewhere_leaves_foreign_memory_alone() {
        let mut room = Room { next: 10, end: 16 };
        assert_eq!(room.take(20, 4, |_| Some(Room { next: 128, end: 256 })), Some(128));
        assert_eq!(room, Room { next: 148, end: 256 });
    }

    #[test]
    fn no_room_changes_nothing() {
        let mut room = Room { next: 10, end: 16 };
        assert_eq!(room.take(20, 4, refuse), None);
        assert_eq!(room.take(usize::MAX, 16, |_| Some(Room { next: 16, end: 80 })), None);
        assert_eq!(room, Room { next: 10, end: 16 });
    }

    #[test]
    fn only_the_last_block_is_last() {
        let mut room = Room { next: 8, end: 64 };
        let first = room.take(8, 8, refuse).unwrap();
        assert!(room.is_last(first, 8));
        let second = room.take(8, 8, refuse).unwrap();
        assert!(!room.is_last(first, 8));
        assert!(room.is_last(second, 8));
    }
}
