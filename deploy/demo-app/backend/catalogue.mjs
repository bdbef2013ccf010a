// What the tasks of the sample backend are made of: kinds of task, their models, documents and troubles. Data only.

const documents = {
  'utility-bill': { name: (n) => `utility-bill-${n}.pdf`, mimeType: 'application/pdf' },
  passport: { name: (n) => `passport_${n}.jpg`, mimeType: 'image/jpeg' },
  invoice: { name: (n) => `Rechnung ${n}.pdf`, mimeType: 'application/pdf' },
  contract: {
    name: (n) => `NDA – Entwurf ${n}.docx`,
    mimeType: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  },
  'medical-form': { name: (n) => `intake-form-${n}.pdf`, mimeType: 'application/pdf' },
  'lab-report': { name: (n) => `lab_${n}.tiff`, mimeType: 'image/tiff' },
  photo: { name: (n) => `Foto_${n}.JPG`, mimeType: 'image/jpeg' },
  audio: { name: (n) => `episode-${n}.mp3`, mimeType: 'audio/mpeg' },
  claim: { name: (n) => `claim-${n}.pdf`, mimeType: 'application/pdf' },
};

export function document(docType) {
  return documents[docType];
}

// seconds: how long one attempt works, low and high; steps: progress events of an attempt, low and high.
export const taskTypes = {
  classification: {
    seconds: [3, 9], steps: [2, 4], models: ['internal/doc-clf-v3.1', 'gpt-4o-mini-2024-07-18'],
    documents: ['contract', 'invoice', 'claim'], doubtful: 0.7,
  },
  ocr: {
    seconds: [6, 18], steps: [3, 7], models: ['textract-2023-09', 'mistral-ocr-2503'],
    documents: ['photo', 'lab-report', 'passport', 'claim'], doubtful: 0.8,
  },
  extraction: {
    seconds: [8, 24], steps: [4, 8], models: ['gpt-4o-2024-08-06', 'claude-3-5-sonnet-20241022'],
    documents: ['utility-bill', 'medical-form', 'invoice', 'claim'], doubtful: 0.8,
  },
  transcription: {
    seconds: [15, 45], steps: [6, 12], models: ['whisper-large-v3', 'internal/asr-de-v2'],
    documents: ['audio'], doubtful: 0.7,
  },
  generation: {
    seconds: [10, 32], steps: [5, 9], models: ['gpt-4o-2024-08-06', 'claude-3-5-sonnet-20241022'],
    documents: ['contract', 'claim'], doubtful: 0.6,
  },
};

export const typeWeights = { extraction: 30, ocr: 27, classification: 18, generation: 14, transcription: 11 };
export const typeWeightsOfTenant = {
  brightmedia: { transcription: 70, classification: 20, generation: 10 },
  'kanzlei-weber': { generation: 45, classification: 35, extraction: 20 },
};

export const priorityWeights = { low: 15, normal: 50, high: 25, critical: 10 };

export const stages = ['download', 'preprocess', 'inference', 'postprocess'];

export const errors = [
  { code: 'RATE_LIMITED', message: '429 from provider, retry after 20s', retryable: true, httpStatus: 429 },
  { code: 'MODEL_TIMEOUT', message: 'Model did not answer within 120000 ms', retryable: true, httpStatus: 504 },
  { code: 'INTERNAL', message: 'ECONNRESET while calling inference-gateway', retryable: true, httpStatus: 500 },
  { code: 'CONTENT_POLICY', message: 'Output blocked by provider policy', retryable: false, httpStatus: 400 },
  { code: 'UNSUPPORTED_MEDIA', message: 'Cannot decode input document', retryable: false, httpStatus: 415 },
];

export const tags = ['batch', 'nightly', 'sla-gold', 'vip', 'eu-only', 'migration', 'urgent', 'demo'];
export const languages = ['de', 'en', 'fr', null];
export const userAgents = ['node-sdk/1.8.0', 'python-sdk/0.9', 'dashboard/5.2'];
export const personalData = ['email', 'phone', 'address', 'date-of-birth', 'iban', 'passport-number', 'health-data'];
export const warnings = ['low-resolution', 'truncated-output', 'language-mismatch'];
export const decisions = { approved: 60, corrected: 28, rejected: 12 };
