namespace Pmem;

/// <summary>The error codes of libpmem2.h. What the system itself said is minus its errno.</summary>
public static class Pmem2Error
{
    /// <summary>PMEM2_E_UNKNOWN</summary>
    public const int Unknown = -100000;

    /// <summary>PMEM2_E_NOSUPP: the platform does not have it.</summary>
    public const int NotSupported = -100001;

    /// <summary>PMEM2_E_FILE_HANDLE_NOT_SET</summary>
    public const int FileHandleNotSet = -100003;

    /// <summary>PMEM2_E_INVALID_FILE_HANDLE: no open file, or one that is open to write only.</summary>
    public const int InvalidFileHandle = -100004;

    /// <summary>PMEM2_E_INVALID_FILE_TYPE: neither a regular file nor device DAX.</summary>
    public const int InvalidFileType = -100005;

    /// <summary>PMEM2_E_MAP_RANGE: the range does not lie in the source.</summary>
    public const int MapRange = -100006;

    /// <summary>PMEM2_E_MAPPING_EXISTS: something is mapped there.</summary>
    public const int MappingExists = -100007;

    /// <summary>PMEM2_E_GRANULARITY_NOT_SET: the required granularity must be set.</summary>
    public const int GranularityNotSet = -100008;

    /// <summary>PMEM2_E_GRANULARITY_NOT_SUPPORTED: it is coarser than required.</summary>
    public const int GranularityNotSupported = -100009;

    /// <summary>PMEM2_E_OFFSET_OUT_OF_RANGE</summary>
    public const int OffsetOutOfRange = -100010;

    /// <summary>PMEM2_E_OFFSET_UNALIGNED</summary>
    public const int OffsetUnaligned = -100011;

    /// <summary>PMEM2_E_INVALID_ALIGNMENT_FORMAT</summary>
    public const int InvalidAlignmentFormat = -100012;

    /// <summary>PMEM2_E_INVALID_ALIGNMENT_VALUE</summary>
    public const int InvalidAlignmentValue = -100013;

    /// <summary>PMEM2_E_INVALID_SIZE_FORMAT</summary>
    public const int InvalidSizeFormat = -100014;

    /// <summary>PMEM2_E_LENGTH_UNALIGNED</summary>
    public const int LengthUnaligned = -100015;

    /// <summary>PMEM2_E_MAPPING_NOT_FOUND</summary>
    public const int MappingNotFound = -100016;

    /// <summary>PMEM2_E_BUFFER_TOO_SMALL</summary>
    public const int BufferTooSmall = -100017;

    /// <summary>PMEM2_E_SOURCE_EMPTY</summary>
    public const int SourceEmpty = -100018;

    /// <summary>PMEM2_E_INVALID_SHARING_VALUE</summary>
    public const int InvalidSharingValue = -100019;

    /// <summary>PMEM2_E_SRC_DEVDAX_PRIVATE</summary>
    public const int SourceDevDaxPrivate = -100020;

    /// <summary>PMEM2_E_INVALID_ADDRESS_REQUEST_TYPE</summary>
    public const int InvalidAddressRequestType = -100021;

    /// <summary>PMEM2_E_ADDRESS_UNALIGNED</summary>
    public const int AddressUnaligned = -100022;

    /// <summary>PMEM2_E_ADDRESS_NULL</summary>
    public const int AddressNull = -100023;

    /// <summary>PMEM2_E_DEEP_FLUSH_RANGE: the range does not lie in the mapping.</summary>
    public const int DeepFlushRange = -100024;

    /// <summary>PMEM2_E_INVALID_REGION_FORMAT</summary>
    public const int InvalidRegionFormat = -100025;

    /// <summary>PMEM2_E_DAX_REGION_NOT_FOUND: it lies on no NVDIMM region.</summary>
    public const int DaxRegionNotFound = -100026;

    /// <summary>PMEM2_E_INVALID_DEV_FORMAT</summary>
    public const int InvalidDeviceFormat = -100027;

    /// <summary>PMEM2_E_CANNOT_READ_BOUNDS</summary>
    public const int CannotReadBounds = -100028;

    /// <summary>PMEM2_E_NO_BAD_BLOCK_FOUND: there are no more.</summary>
    public const int NoBadBlockFound = -100029;

    /// <summary>PMEM2_E_LENGTH_OUT_OF_RANGE</summary>
    public const int LengthOutOfRange = -100030;

    /// <summary>PMEM2_E_INVALID_PROT_FLAG</summary>
    public const int InvalidProtectionFlag = -100031;

    /// <summary>PMEM2_E_NO_ACCESS: the file is not open for that protection.</summary>
    public const int NoAccess = -100032;

    /// <summary>PMEM2_E_VM_RESERVATION_NOT_EMPTY</summary>
    public const int ReservationNotEmpty = -100033;

    /// <summary>PMEM2_E_MAP_EXISTS: it is a mapping of this library already.</summary>
    public const int MapExists = -100034;

    /// <summary>PMEM2_E_FILE_DESCRIPTOR_NOT_SET: the source has none.</summary>
    public const int FileDescriptorNotSet = -100035;

    /// <summary>PMEM2_E_SOURCE_TYPE_NOT_SUPPORTED</summary>
    public const int SourceTypeNotSupported = -100036;

    /// <summary>PMEM2_E_IO_FAIL: a bad block, perhaps.</summary>
    public const int IoFail = -100037;
}
