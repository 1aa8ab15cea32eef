namespace Pmem

open System

/// What a machine does, for a person.
module internal PlatformWords =
    let whyNoWriteBack (facts: PlatformFacts) (environment: PmemEnvironment) =
        if environment.NoMachineCode = Setting.On then
            "PMEM_NO_MACHINE_CODE is 1"
        elif not facts.CanRunMachineCode then
            "write-back needs a few bytes of machine code, and this process was refused executable memory, or there is none "
            + "for its architecture and operating system"
        else
            "the processor has no instruction for it that a process can use"

    let private lines facts environment (writeBack: WriteBackKind) (fence: FenceKind) =
        if writeBack = NoWriteBack then
            String.Concat(
                "no cache line can be written back, because ",
                whyNoWriteBack facts environment,
                ", so msync is used there too"
            )
        else
            String.Concat(
                "a persist writes back each cache line with ",
                writeBack.ToString(),
                " and waits with ",
                fence.ToString()
            )

    let private onlyFence (fence: FenceKind) =
        String.Concat("a persist is only ", fence.ToString())

    /// What a persist on persistent memory does, and why.
    let private onPmem (facts: PlatformFacts) (environment: PmemEnvironment) writeBack fence =
        let lines = lines facts environment writeBack fence
        let onlyFence = onlyFence fence
        let isFlushed = (=) PlatformFacts.FlushedDomain

        match environment.NoFlush with
        | Setting.On -> onlyFence + ", because PMEM_NO_FLUSH is 1: what is visible is durable"
        | Setting.Off when Seq.exists isFlushed facts.PersistenceDomains ->
            lines
            + ", because PMEM_NO_FLUSH is 0 although a region reports the persistence domain cpu_cache"
        | _ when facts.PersistenceDomains.Count = 0 ->
            lines
            + ", because no NVDIMM region is here to say that its caches survive a power failure"
        | _ when not (Seq.exists isFlushed facts.PersistenceDomains) ->
            lines + ", because no NVDIMM region reports the persistence domain cpu_cache"
        | _ ->
            onlyFence
            + " where the NVDIMM region that holds the memory reports the persistence domain cpu_cache (eADR): what is visible "
            + "there is durable. In any other memory "
            + lines

    let describe (facts: PlatformFacts) (environment: PmemEnvironment) writeBack fence =
        let forced =
            match environment.IsPmemForce with
            | Setting.On -> " PMEM_IS_PMEM_FORCE is 1: every mapping is taken for persistent memory, whatever it is."
            | Setting.Off -> " PMEM_IS_PMEM_FORCE is 0: no mapping is taken for persistent memory."
            | Setting.Unset -> ""

        String.Concat(
            [|
                "On persistent memory (a DAX file mapped with MAP_SYNC, or a device-DAX device) "
                onPmem facts environment writeBack fence
                ". On any other file a persist is msync(MS_SYNC) on whole pages of "
                Words.number facts.PageSizeBytes
                " bytes, because only the operating system can write the page cache to storage."
                forced
            |]
        )
