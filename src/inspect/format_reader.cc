#include "inspect/format_reader.h"

#include "inspect/dduf/reader.h"
#include "inspect/gguf/reader.h"
#include "inspect/onnx/reader.h"
#include "inspect/pytorch/reader.h"
#include "inspect/safetensors/reader.h"

namespace warmset {

std::span<const FormatReader* const> FormatReaders() {
  static const DdufReader dduf;
  static const GgufReader gguf;
  static const OnnxReader onnx;
  static const PytorchReader pytorch;
  static const SafetensorsReader safetensors;
  // Of zip archives, DDUF's are the special ones. A pickle may be made to look like a
  // file of the formats behind it, not the other way about.
  static const FormatReader* const readers[] = {&dduf, &pytorch, &gguf, &safetensors, &onnx};
  return readers;
}

const FormatReader* RecogniseFormat(const FileStart& start) {
  const FormatReader* by_name = nullptr;
  for (const FormatReader* reader : FormatReaders()) {
    switch (reader->Recognise(start)) {
      case FormatReader::Match::kByContent:
        return reader;
      case FormatReader::Match::kByName:
        if (by_name == nullptr) by_name = reader;
        break;
      case FormatReader::Match::kNo:
        break;
    }
  }
  return by_name;
}

}  // namespace warmset
