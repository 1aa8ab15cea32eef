namespace Structures

open Pmem

/// A structure as it should be, or with the one mistake that its lesson is about.
type Twin =
    | Right
    | Broken

/// What a crash check needs of a structure.
type Lesson =
    {
        Name: string
        /// What memory holds at first.
        Image: byte[]
        /// Uses the structure, and promises each operation once it is done.
        Workload: Twin -> RecordedMemory -> unit
        /// Opens it after a crash, and tells whether it is whole and has all that was promised.
        Recovery: Twin -> CrashedMemory -> bool
        /// Models under which the broken twin is found out; there may be more.
        WrongUnder: PersistencyModel list
    }

module Lesson =
    /// Where the cache is lost: a store may be lost though a younger one is not.
    let cached = [ PersistencyModel.X86; PersistencyModel.Relaxed ]

    /// The order of the stores itself is wrong: caches that survive do not help.
    let everywhere = PersistencyModel.Eadr :: cached

    let check twin model lesson =
        CrashCheck.run
            (CrashCheckOptions.Default.WithModel model)
            lesson.Image
            (lesson.Workload twin)
            (lesson.Recovery twin)
