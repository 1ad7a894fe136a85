// The forms that PyTorch's files come in.
#pragma once

#include "base/status.h"
#include "inspect/byte_source.h"
#include "inspect/format_reader.h"
#include "inspect/problems.h"
#include "inspect/pytorch/pickle_interpreter.h"

namespace warmset {

// Each lists the file in contents; what is wrong with it goes to `problems`. An error
// only when the file can't be read.

// A zip archive: since PyTorch 1.6, and TorchScript's.
Status ReadZipForm(ByteSource& file, FileContents& contents, Problems& problems);

// A row of pickles and raw data: before PyTorch 1.6. Also single pickles.
Status ReadPickleForm(ByteSource& file, FileContents& contents, Problems& problems);

// A tar archive: before PyTorch 0.2. Only looked through.
Status ReadTarForm(ByteSource& file, Problems& problems);

bool IsTar(std::span<const std::byte> start);

// Looks through all pickles of an archive that is no model's, or hides behind one;
// adds only what makes it unsafe.
Status LookThroughZip(ByteSource& file, Problems& problems);

// Looks through the streams from `begin` on, as above.
Status LookThroughPickles(ByteSource& source, uint64_t begin, const PicklePlace& place,
                          PickleBudget& budget, Problems& problems);

}  // namespace warmset
