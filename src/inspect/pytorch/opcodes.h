// The opcodes of pickles, and what each of them in a model means.
// Source: CPython's Lib/pickletools.py, protocols 0 to 5.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace warmset {

enum class Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kFloat = 'F',
  kInt = 'I',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kLong = 'L',
  kBinInt2 = 'M',
  kNone = 'N',
  kPersId = 'P',
  kBinPersId = 'Q',
  kReduce = 'R',
  kString = 'S',
  kBinString = 'T',
  kShortBinString = 'U',
  kUnicode = 'V',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kGet = 'g',
  kBinGet = 'h',
  kInst = 'i',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kObj = 'o',
  kPut = 'p',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinFloat = 'G',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kProto = 0x80,
  kNewObj = 0x81,
  kExt1 = 0x82,
  kExt2 = 0x83,
  kExt4 = 0x84,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
  kNextBuffer = 0x97,
  kReadOnlyBuffer = 0x98,
};

enum class OpcodeUse : uint8_t {
  kNone,     // no opcode at all
  kModel,    // what torch.save() writes
  kData,     // how pickles of other protocols write plain data
  kJuggle,   // moves what others made about on the stack
  kForeign,  // makes or calls what a model never needs
};

struct OpcodeRow {
  std::string_view name = {};
  OpcodeUse use = OpcodeUse::kNone;
};

namespace internal {

constexpr std::array<OpcodeRow, 256> MakeOpcodeRows() {
  std::array<OpcodeRow, 256> rows;
  const auto set = [&rows](Opcode opcode, std::string_view name, OpcodeUse use) {
    rows[static_cast<uint8_t>(opcode)] = {name, use};
  };
  using enum OpcodeUse;
  set(Opcode::kMark, "MARK", kModel);
  set(Opcode::kStop, "STOP", kModel);
  set(Opcode::kBinInt, "BININT", kModel);
  set(Opcode::kBinInt1, "BININT1", kModel);
  set(Opcode::kBinInt2, "BININT2", kModel);
  set(Opcode::kNone, "NONE", kModel);
  set(Opcode::kBinPersId, "BINPERSID", kModel);
  set(Opcode::kReduce, "REDUCE", kModel);
  set(Opcode::kShortBinString, "SHORT_BINSTRING", kModel);
  set(Opcode::kBinUnicode, "BINUNICODE", kModel);
  set(Opcode::kAppend, "APPEND", kModel);
  set(Opcode::kBuild, "BUILD", kModel);
  set(Opcode::kGlobal, "GLOBAL", kModel);
  set(Opcode::kEmptyDict, "EMPTY_DICT", kModel);
  set(Opcode::kAppends, "APPENDS", kModel);
  set(Opcode::kBinGet, "BINGET", kModel);
  set(Opcode::kLongBinGet, "LONG_BINGET", kModel);
  set(Opcode::kEmptyList, "EMPTY_LIST", kModel);
  set(Opcode::kBinPut, "BINPUT", kModel);
  set(Opcode::kLongBinPut, "LONG_BINPUT", kModel);
  set(Opcode::kSetItem, "SETITEM", kModel);
  set(Opcode::kTuple, "TUPLE", kModel);
  set(Opcode::kEmptyTuple, "EMPTY_TUPLE", kModel);
  set(Opcode::kSetItems, "SETITEMS", kModel);
  set(Opcode::kBinFloat, "BINFLOAT", kModel);
  set(Opcode::kProto, "PROTO", kModel);
  set(Opcode::kNewObj, "NEWOBJ", kModel);
  set(Opcode::kTuple1, "TUPLE1", kModel);
  set(Opcode::kTuple2, "TUPLE2", kModel);
  set(Opcode::kTuple3, "TUPLE3", kModel);
  set(Opcode::kNewTrue, "NEWTRUE", kModel);
  set(Opcode::kNewFalse, "NEWFALSE", kModel);
  set(Opcode::kLong1, "LONG1", kModel);
  set(Opcode::kEmptySet, "EMPTY_SET", kModel);

  set(Opcode::kFloat, "FLOAT", kData);
  set(Opcode::kInt, "INT", kData);
  set(Opcode::kLong, "LONG", kData);
  set(Opcode::kLong4, "LONG4", kData);
  set(Opcode::kString, "STRING", kData);
  set(Opcode::kBinString, "BINSTRING", kData);
  set(Opcode::kUnicode, "UNICODE", kData);
  set(Opcode::kShortBinUnicode, "SHORT_BINUNICODE", kData);
  set(Opcode::kBinUnicode8, "BINUNICODE8", kData);
  set(Opcode::kBinBytes, "BINBYTES", kData);
  set(Opcode::kShortBinBytes, "SHORT_BINBYTES", kData);
  set(Opcode::kBinBytes8, "BINBYTES8", kData);
  set(Opcode::kByteArray8, "BYTEARRAY8", kData);
  set(Opcode::kDict, "DICT", kData);
  set(Opcode::kList, "LIST", kData);
  set(Opcode::kGet, "GET", kData);
  set(Opcode::kPut, "PUT", kData);
  set(Opcode::kAddItems, "ADDITEMS", kData);
  set(Opcode::kFrozenSet, "FROZENSET", kData);
  set(Opcode::kMemoize, "MEMOIZE", kData);
  set(Opcode::kFrame, "FRAME", kData);
  set(Opcode::kStackGlobal, "STACK_GLOBAL", kData);  // what it names is judged apart

  set(Opcode::kPop, "POP", kJuggle);
  set(Opcode::kPopMark, "POP_MARK", kJuggle);
  set(Opcode::kDup, "DUP", kJuggle);
  set(Opcode::kPersId, "PERSID", kJuggle);
  set(Opcode::kNextBuffer, "NEXT_BUFFER", kJuggle);
  set(Opcode::kReadOnlyBuffer, "READONLY_BUFFER", kJuggle);

  set(Opcode::kInst, "INST", kForeign);
  set(Opcode::kObj, "OBJ", kForeign);
  set(Opcode::kExt1, "EXT1", kForeign);
  set(Opcode::kExt2, "EXT2", kForeign);
  set(Opcode::kExt4, "EXT4", kForeign);
  set(Opcode::kNewObjEx, "NEWOBJ_EX", kForeign);
  return rows;
}

}  // namespace internal

inline constexpr std::array<OpcodeRow, 256> kOpcodeRows = internal::MakeOpcodeRows();

}  // namespace warmset
